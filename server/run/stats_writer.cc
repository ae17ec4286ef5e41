#include "server/run/stats_writer.h"

#include <spdlog/spdlog.h>

#include <utility>

namespace mdgan {

Result<StatsWriter> StatsWriter::open(std::filesystem::path file,
                                      std::uint64_t rounds) {
  auto writer = JsonlWriter::open(file);
  if (!writer) return writer.error();
  return StatsWriter(std::move(file), rounds, std::move(*writer));
}

void StatsWriter::on_tick(const StatsRecord& record) {
  append(record);
  if (record.round == rounds_) last_ = record;
}

void StatsWriter::on_evaluation(const EvaluationRecord& record) {
  evaluation_ = record;
  if (!last_) return;
  const auto cut = truncate_after_round(file_, Round{last_->round - 1});
  auto writer = JsonlWriter::open(file_);
  if (cut && writer) {
    writer_ = std::move(*writer);
    append(*last_);
  } else {
    spdlog::warn("{}", (cut ? writer.error() : cut.error()).message);
  }
}

void StatsWriter::append(StatsRecord record) {
  record.evaluation = std::exchange(evaluation_, std::nullopt);
  const auto appended = writer_.append(to_json(record));
  if (!appended && !failed_) spdlog::warn("{}", appended.error().message);
  failed_ = !appended;  // a disk that stays full is one warning
}

}  // namespace mdgan
