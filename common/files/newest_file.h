// A small file that is written anew again and again, of which only the newest
// text counts: how a program stands, for those who watch it. A reader sees a
// whole one, old or new; it is not synced.
#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <string>

namespace mdgan {

class NewestFile {
 public:
  // Runs a task on another thread, after the tasks before it, or never. At most
  // one is under way and one waits: a slow disk makes the file old.
  using Post = std::function<void(std::function<void()> task)>;
  using Text = std::function<std::string()>;

  // What cannot be written is one warning in the log until it can be written
  // again.
  NewestFile(std::filesystem::path file, Post post);

  // Has `text` made and written by whoever runs what is posted, in the place of
  // one that has not been.
  void write(Text text);
  // In the calling thread: it is written when this returns.
  void write_now(Text text);

 private:
  class Writer;
  std::shared_ptr<Writer> writer_;  // with the tasks that are posted
  Post post_;
};

}  // namespace mdgan
