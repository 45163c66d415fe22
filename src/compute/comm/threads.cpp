// Ranks as threads: each publishes its buffer, all meet, each sums its own share of the elements over all buffers in
// rank order, all meet again, and each copies the shares that others summed.
#include <barrier>
#include <cstring>

#include "base/check.h"
#include "compute/comm/communicator.h"

namespace strata {
namespace {

struct MeetingPlace {
  explicit MeetingPlace(int n) : ranks(n), barrier(n), buffers(static_cast<size_t>(n)) {}
  const int ranks;
  std::barrier<> barrier;
  std::vector<float*> buffers;  // by rank; written between two barriers by its own rank only
};

class ThreadCommunicator final : public Communicator {
 public:
  // The place is shared by all ranks of the group.
  ThreadCommunicator(std::shared_ptr<MeetingPlace> place, int rank) : place_(std::move(place)), rank_(rank) {}
  int rank() const override { return rank_; }
  int size() const override { return place_->ranks; }

  Status all_sum(float* data, int64_t n) override {
    place_->buffers[static_cast<size_t>(rank_)] = data;
    place_->barrier.arrive_and_wait();
    const int64_t begin = n * rank_ / size();
    const int64_t end = n * (rank_ + 1) / size();
    for (int64_t i = begin; i < end; ++i) {
      float sum = place_->buffers[0][i];
      for (int r = 1; r < size(); ++r) sum += place_->buffers[static_cast<size_t>(r)][i];
      data[i] = sum;  // nobody else reads or writes this share before the next barrier
    }
    place_->barrier.arrive_and_wait();
    for (int r = 0; r < size(); ++r) {
      if (r == rank_) continue;
      const int64_t from = n * r / size();
      const int64_t to = n * (r + 1) / size();
      std::memcpy(data + from, place_->buffers[static_cast<size_t>(r)] + from,
                  static_cast<size_t>(to - from) * sizeof(float));
    }
    place_->barrier.arrive_and_wait();
    return ok_status();
  }

 private:
  std::shared_ptr<MeetingPlace> place_;
  int rank_;
};

}  // namespace

std::vector<std::unique_ptr<Communicator>> thread_communicators(int n) {
  CHECK_GE(n, 1);
  const auto place = std::make_shared<MeetingPlace>(n);
  std::vector<std::unique_ptr<Communicator>> ranks;
  for (int rank = 0; rank < n; ++rank) ranks.push_back(std::make_unique<ThreadCommunicator>(place, rank));
  return ranks;
}

}  // namespace strata
