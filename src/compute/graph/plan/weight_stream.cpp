#include "compute/graph/plan/weight_stream.h"

#include <algorithm>

#include "base/check.h"

namespace strata {
namespace {

constexpr size_t kDepth = 32;           // reads under way: 64 MiB, more than any disk needs to be busy
constexpr uint64_t kPiecesOfSlot = 32;  // bits of a tag below the slot's number

size_t to_pages(size_t bytes) { return (bytes + kPackedAlignment - 1) / kPackedAlignment * kPackedAlignment; }

}  // namespace

size_t WeightWindow::add(const PackedEntry& entry) {
  for (const Part& part : parts) {
    if (part.entry == &entry) return part.offset;
  }
  parts.push_back({&entry, bytes});
  bytes += to_pages(entry.bytes);
  return parts.back().offset;
}

Result<std::unique_ptr<WeightStream>> WeightStream::make(std::shared_ptr<const PackedFile> file,
                                                         std::vector<WeightWindow> windows, size_t buffer_bytes,
                                                         FileReads::Kind kind) {
  for (const WeightWindow& window : windows) CHECK_LE(window.bytes, buffer_bytes);
  ASSIGN_OR_RETURN(std::unique_ptr<FileReads> reads, FileReads::open(file->path(), kDepth, kind));
  auto stream = std::unique_ptr<WeightStream>(
      new WeightStream(std::move(file), std::move(windows), buffer_bytes, std::move(reads)));
  stream->read_ahead();
  return stream;
}

WeightStream::WeightStream(std::shared_ptr<const PackedFile> file, std::vector<WeightWindow> windows,
                           size_t buffer_bytes, std::unique_ptr<FileReads> reads)
    : file_(std::move(file)), windows_(std::move(windows)), buffer_(buffer_bytes), reads_(std::move(reads)) {
  for (const WeightWindow& window : windows_) bytes_per_round_ += window.bytes;
}

Result<const std::byte*> WeightStream::acquire(int window) {
  CHECK(!held_ && windows_[static_cast<size_t>(window)].bytes > 0);
  if (slots_.empty() || slots_.front().window != window) restart(window);
  read_ahead();
  while (slots_.front().missing > 0) {
    take_one();
    read_ahead();
  }
  if (!slots_.front().status.ok()) {
    const Status status = slots_.front().status;
    restart(window);
    return status;
  }
  held_ = true;
  return static_cast<const std::byte*>(buffer_.data() + slots_.front().begin);
}

void WeightStream::release() {
  CHECK(held_);
  held_ = false;
  slots_.pop_front();
  ++first_slot_;
  read_ahead();
}

void WeightStream::restart(int window) {
  for (Slot& slot : slots_) {
    slot.missing -= slot.reads.size();
    slot.reads.clear();
  }
  while (reads_->under_way() > 0) take_one();
  first_slot_ += slots_.size();
  slots_.clear();
  next_window_ = window;
}

void WeightStream::read_ahead() {
  if (bytes_per_round_ == 0) return;
  do {
    start_reads();
  } while (reads_->under_way() < reads_->depth() && add_slot());
}

// The next window, behind the ones in the buffer or at its beginning. False: there is no room.
bool WeightStream::add_slot() {
  while (windows_[static_cast<size_t>(next_window_)].bytes == 0) {
    next_window_ = (next_window_ + 1) % static_cast<int>(windows_.size());
  }
  const WeightWindow& window = windows_[static_cast<size_t>(next_window_)];
  size_t begin = 0;
  if (!slots_.empty()) {
    const size_t first = slots_.front().begin;
    begin = slots_.back().begin + windows_[static_cast<size_t>(slots_.back().window)].bytes;
    const bool wrapped = slots_.back().begin < first;
    if (!wrapped && begin + window.bytes > buffer_.size()) {
      if (window.bytes > first) return false;
      begin = 0;
    } else if (wrapped && begin + window.bytes > first) {
      return false;
    }
  }
  Slot slot{next_window_, begin, {}, {}, {}, 0, ok_status()};
  const uint64_t number = first_slot_ + slots_.size();
  for (const WeightWindow::Part& part : window.parts) {
    for (const PackedPiece& piece : part.entry->pieces) {
      std::byte* to = buffer_.data() + begin + part.offset + (piece.offset - part.entry->offset);
      slot.reads.push_back({piece.offset, to_pages(piece.bytes), to, number << kPiecesOfSlot | slot.pieces.size()});
      slot.pieces.push_back(&piece);
      slot.places.push_back(to);
    }
  }
  slot.missing = slot.reads.size();
  std::reverse(slot.reads.begin(), slot.reads.end());
  slots_.push_back(std::move(slot));
  next_window_ = (next_window_ + 1) % static_cast<int>(windows_.size());
  return true;
}

void WeightStream::start_reads() {
  for (Slot& slot : slots_) {
    while (!slot.reads.empty()) {
      if (reads_->under_way() == reads_->depth()) return;
      reads_->start(slot.reads.back());
      slot.reads.pop_back();
    }
  }
}

void WeightStream::take_one() {
  const FileReads::Done done = reads_->wait();
  Slot& slot = slots_[(done.tag >> kPiecesOfSlot) - first_slot_];
  const size_t number = done.tag & ((uint64_t{1} << kPiecesOfSlot) - 1);
  const PackedPiece& piece = *slot.pieces[number];
  --slot.missing;
  bytes_read_ += piece.bytes;
  start_reads();
  if (!done.status.ok()) {
    slot.status = done.status;
  } else if (hash_bytes({slot.places[number], piece.bytes}) != piece.hash) {
    slot.status = data_loss(file_->path().string() + ": its weights are damaged (start again to pack them anew)");
  }
}

}  // namespace strata
