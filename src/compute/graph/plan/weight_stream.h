// The weights of a model that is bigger than memory, on their way from the file of packed weights to the segment that
// multiplies by them. A window is what one segment reads; windows are read ahead into one buffer in the order in which
// a step needs them, around and around: while a step's last segments run, the next step's first ones arrive.
//
// One thread at a time. Reads go on in the meantime (base/file_reads.h).
#pragma once

#include <deque>
#include <memory>
#include <vector>

#include "base/file_reads.h"
#include "compute/graph/plan/bind.h"
#include "compute/graph/plan/packed_file.h"

namespace strata {

struct WeightWindow {
  struct Part {
    const PackedEntry* entry;
    size_t offset;  // in the window
  };
  std::vector<Part> parts;
  size_t bytes = 0;

  size_t add(const PackedEntry& entry);  // its offset; once however often it is added
};

class WeightStream {
 public:
  // `buffer_bytes`: at least the largest window; twice that and more keep the disk busy. kUnavailable: the file cannot
  // be read. Windows point into the file's directory.
  static Result<std::unique_ptr<WeightStream>> make(std::shared_ptr<const PackedFile> file,
                                                    std::vector<WeightWindow> windows, size_t buffer_bytes,
                                                    FileReads::Kind kind = FileReads::Kind::kBest);

  // Where the bytes of a window are, once they have come and agree with their hashes; valid until release(). Windows
  // are asked for in ascending order, then from the first on again; any other begins anew there. An error says why
  // they did not come; the next call tries again.
  Result<const std::byte*> acquire(int window);
  void release();

  uint64_t bytes_read() const { return bytes_read_; }
  uint64_t bytes_per_round() const { return bytes_per_round_; }  // of all windows
  size_t buffer_bytes() const { return buffer_.size(); }

 private:
  // A window in the buffer, or coming.
  struct Slot {
    int window;
    size_t begin;
    std::vector<FileRead> reads;             // not started, the last first
    std::vector<const PackedPiece*> pieces;  // by the number of the read
    std::vector<std::byte*> places;
    size_t missing;  // reads that are not done
    Status status;
  };

  WeightStream(std::shared_ptr<const PackedFile> file, std::vector<WeightWindow> windows, size_t buffer_bytes,
               std::unique_ptr<FileReads> reads);
  void restart(int window);
  void read_ahead();
  bool add_slot();
  void start_reads();
  void take_one();

  std::shared_ptr<const PackedFile> file_;
  std::vector<WeightWindow> windows_;  // by segment; those of segments that read nothing are empty
  AlignedBuffer buffer_;
  std::unique_ptr<FileReads> reads_;
  std::deque<Slot> slots_;   // in the order of use; the first is the one asked for
  uint64_t first_slot_ = 0;  // number of slots_.front(), counted from the start: part of a read's tag
  int next_window_ = 0;      // to be read
  bool held_ = false;        // slots_.front() is acquired
  uint64_t bytes_read_ = 0;
  uint64_t bytes_per_round_ = 0;
};

}  // namespace strata
