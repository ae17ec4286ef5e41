#include "server/run/stats_writer.h"

#include <utility>

#include "common/files/jsonl.h"

namespace mdgan {

StatsWriter::StatsWriter(std::filesystem::path path, std::uint64_t rounds,
                         LineWriter file, WriteQueue::Post post)
    : path_(std::move(path)),
      rounds_(rounds),
      file_(std::make_shared<LineWriter>(std::move(file))),
      queue_(file_->path(), std::move(post)) {}

Result<StatsWriter> StatsWriter::open(std::filesystem::path file,
                                      std::uint64_t rounds,
                                      WriteQueue::Post post) {
  auto writer = LineWriter::open(file);
  if (!writer) return writer.error();
  return StatsWriter(std::move(file), rounds, std::move(*writer),
                     std::move(post));
}

void StatsWriter::on_tick(const StatsRecord& record) {
  queue_.put(
      [file = file_, line = next_line(record)] { return file->append(line); });
  if (record.round == rounds_) last_ = record;
}

void StatsWriter::on_evaluation(const EvaluationRecord& record) {
  evaluation_ = record;
  if (!last_) return;
  queue_.put([file = file_, path = path_, before = Round{last_->round - 1},
              line = next_line(*last_)]() -> Result<void> {
    if (auto cut = truncate_after_round(path, before); !cut) return cut;
    auto writer = LineWriter::open(path);
    if (!writer) return writer.error();
    *file = std::move(*writer);
    return file->append(line);
  });
}

std::string StatsWriter::next_line(StatsRecord record) {
  record.evaluation = std::exchange(evaluation_, std::nullopt);
  return to_json(record);
}

}  // namespace mdgan
