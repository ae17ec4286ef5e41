#include "server/run/tensorboard_file.h"

#include <fcntl.h>
#include <spdlog/fmt/fmt.h>
#include <sys/types.h>

#include <chrono>
#include <span>
#include <utility>
#include <vector>

#include "common/files/atomic_write.h"
#include "common/files/file_descriptor.h"
#include "common/files/read_file.h"
#include "server/run/tensorboard_events.h"

namespace mdgan {
namespace {

using tensorboard::Moment;
using tensorboard::Scalar;

double now_1970() {
  return std::chrono::duration<double>(
             std::chrono::system_clock::now().time_since_epoch())
      .count();
}

Error cannot(std::string_view what, const std::filesystem::path& path) {
  return {fmt::format("cannot {} {}: {}", what, path.string(), errno_text()),
          ExitCode::kCheckpoint};
}

}  // namespace

// Threads: one at a time.
class TensorboardFile::Records {
 public:
  Records(std::filesystem::path path, FileDescriptor file)
      : path_(std::move(path)), file_(std::move(file)) {}

  // A reader stops for good at a torn record: on an error the file is as
  // before.
  Result<void> append(std::string_view event) {
    const std::string record = tensorboard::record(event);
    if (write_all(file_.get(), std::as_bytes(std::span(record)))) {
      size_ += static_cast<off_t>(record.size());
      return {};
    }
    const Error error = cannot("write", path_);
    if (::ftruncate(file_.get(), size_) != 0) return cannot("shorten", path_);
    return error;
  }

 private:
  const std::filesystem::path path_;
  FileDescriptor file_;
  off_t size_ = 0;
};

Result<TensorboardFile> TensorboardFile::open(
    const std::filesystem::path& folder, Round completed,
    std::uint32_t incarnation, WriteQueue::Post post) {
  if (auto made = make_directories(folder); !made) return made.error();
  const double now = now_1970();
  // Readers take files in the order of their names.
  const std::filesystem::path path =
      folder / fmt::format("events.out.tfevents.{:010}.{:010}.mdgan",
                           static_cast<std::uint64_t>(now), incarnation);
  FileDescriptor file(::open(
      path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, 0666));
  if (!file) return cannot("make", path);
  auto records = std::make_shared<Records>(path, std::move(file));
  auto begun = records->append(tensorboard::version_event(now));
  if (begun)
    begun =
        records->append(tensorboard::start_event({now, completed.value + 1}));
  if (!begun) return begun.error();
  return TensorboardFile(path, std::move(records), std::move(post));
}

void TensorboardFile::on_tick(const StatsRecord& r) {
  put([moment = Moment{now_1970(), r.round}, r] {
    return tensorboard::scalars_event(
        moment, {{"loss/discriminators", r.d_loss},
                 {"loss/generator", r.g_loss},
                 {"feedback_norm", r.feedback_norm},
                 {"rounds_per_second", r.rounds_per_second},
                 {"seconds/generate", r.seconds.generate},
                 {"seconds/send", r.seconds.send},
                 {"seconds/wait", r.seconds.wait},
                 {"seconds/merge", r.seconds.merge},
                 {"seconds/step", r.seconds.step},
                 {"bytes/sent", static_cast<double>(r.bytes_sent)},
                 {"bytes/received", static_cast<double>(r.bytes_received)},
                 {"bytes/swapped", static_cast<double>(r.bytes_swapped)},
                 {"peers", static_cast<double>(r.peers)}});
  });
}

void TensorboardFile::on_evaluation(const EvaluationRecord& r) {
  put([moment = Moment{now_1970(), r.round}, r] {
    std::vector<Scalar> scalars{
        {"quality/frechet_inception_distance", r.frechet_distance},
        {"quality/kernel_inception_distance", r.kernel_distance_mean},
        {"quality/recall", r.recall}};
    if (r.precision) scalars.push_back({"quality/precision", *r.precision});
    if (r.classes) {
      scalars.push_back(
          {"quality/inception_score", r.classes->inception_score_mean});
      if (r.classes->distance)
        scalars.push_back({"quality/class_distance", *r.classes->distance});
    }
    return tensorboard::scalars_event(moment, scalars);
  });
}

void TensorboardFile::on_pictures(Round round,
                                  const std::filesystem::path& file) {
  put([moment = Moment{now_1970(), round.value}, file]() -> std::string {
    const auto bytes = read_file(file, ExitCode::kCheckpoint);
    if (!bytes) return "";  // somebody has taken it away
    return tensorboard::image_event(
        moment, "samples",
        {reinterpret_cast<const char*>(bytes->data()), bytes->size()});
  });
}

void TensorboardFile::on_finished(const Finish&) { queue_.finish(); }

void TensorboardFile::put(Event event) {
  queue_.put([records = records_, event = std::move(event)]() -> Result<void> {
    const std::string bytes = event();
    if (bytes.empty()) return {};
    return records->append(bytes);
  });
}

}  // namespace mdgan
