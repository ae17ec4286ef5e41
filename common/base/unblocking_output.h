// Output for people that never makes the program wait: a terminal that is held
// (Ctrl-S), or a pipe that nobody reads, must not stop training.
#pragma once

#include <cstddef>
#include <mutex>
#include <string>
#include <string_view>

namespace mdgan {

// Threads: any.
class UnblockingOutput {
 public:
  // `descriptor` is not owned, and must stay open.
  explicit UnblockingOutput(int descriptor);
  ~UnblockingOutput();
  UnblockingOutput(const UnblockingOutput&) = delete;
  UnblockingOutput& operator=(const UnblockingOutput&) = delete;

  // Writes what the descriptor takes at once and keeps the rest, up to a limit,
  // for the next call. Beyond that limit whole calls' texts are dropped; once
  // there is room again a line says how many. What cannot be written at all (a
  // closed pipe, a full disk) is dropped.
  void write(std::string_view text);

  // Tries to write what is kept. The destructor does so, too.
  void flush();

 private:
  void push();
  long write_some(std::string_view text) const;

  std::mutex mutex_;
  const int descriptor_;
  int own_ = -1;  // the same pipe or terminal, opened anew so as not to block
  bool is_socket_ = false;
  bool may_block_ = false;  // no such way: asks before it writes
  std::string kept_;
  std::size_t dropped_ = 0;  // texts
};

}  // namespace mdgan
