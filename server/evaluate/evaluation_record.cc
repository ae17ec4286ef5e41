#include "server/evaluate/evaluation_record.h"

#include <spdlog/fmt/fmt.h>

#include <map>
#include <nlohmann/json.hpp>
#include <utility>

#include "common/files/atomic_write.h"
#include "common/files/jsonl.h"
#include "common/files/read_file.h"

namespace mdgan {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

constexpr std::string_view kPrefix = "metric-";
constexpr std::string_view kSuffix = ".jsonl";

std::string number_text(std::uint32_t samples) {
  return samples >= 1000 && samples % 1000 == 0
             ? fmt::format("{}k", samples / 1000)
             : std::to_string(samples);
}

Json sites_of(const std::vector<SiteScores>& sites) {
  Json list = Json::array();
  for (const SiteScores& site : sites) {
    Json one{{"name", site.name},
             {"images", site.images},
             {"kernel_inception_distance_mean", site.kernel_distance_mean},
             {"kernel_inception_distance_std", site.kernel_distance_std},
             {"recall", site.recall}};
    if (site.frechet_distance_without)
      one["frechet_inception_distance_without"] =
          *site.frechet_distance_without;
    list.push_back(std::move(one));
  }
  return list;
}

// Each metric's short name, and its numbers.
std::vector<std::pair<std::string, Json>> results_of(
    const EvaluationRecord& r) {
  std::vector<std::pair<std::string, Json>> results{
      {"fid", {{"frechet_inception_distance", r.frechet_distance}}},
      {"kid",
       {{"kernel_inception_distance_mean", r.kernel_distance_mean},
        {"kernel_inception_distance_std", r.kernel_distance_std}}},
      {"pr", {{"recall", r.recall}}}};
  Json& among = results.back().second;
  if (r.precision) among["precision"] = *r.precision;
  if (r.f_score) among["f_score"] = *r.f_score;
  if (r.real_frechet_distance)
    results.front().second["real_frechet_inception_distance"] =
        *r.real_frechet_distance;
  if (r.utility)
    results.push_back({"tstr",
                       {{"classifier_accuracy", r.utility->generated},
                        {"real_classifier_accuracy", r.utility->real},
                        {"classifier_images", r.utility->images}}});
  if (!r.sites.empty())
    results.push_back({"sites", {{"sites", sites_of(r.sites)}}});
  if (!r.classes) return results;
  results.push_back(
      {"is",
       {{"inception_score_mean", r.classes->inception_score_mean},
        {"inception_score_std", r.classes->inception_score_std}}});
  Json classes{{"class_histogram", r.classes->histogram}};
  if (r.classes->distance) classes["class_distance"] = *r.classes->distance;
  results.push_back({"classes", std::move(classes)});
  return results;
}

// Puts the line among those of the file, by rounds. It takes the place of one
// of the same round and features: other features are another measure.
Result<void> put_line(const fs::path& file, const Json& line) {
  const auto key = [](const auto& json) {
    return std::pair(json["round"].template get<std::uint64_t>(),
                     json.value("features", std::string()));
  };
  std::map<std::pair<std::uint64_t, std::string>, std::string> lines;
  std::error_code ignored;  // a file that cannot be seen counts as missing
  if (fs::exists(file, ignored)) {
    const auto bytes = read_file(file, ExitCode::kCheckpoint);
    if (!bytes) return bytes.error();
    const std::string_view all(reinterpret_cast<const char*>(bytes->data()),
                               bytes->size());
    std::size_t begin = 0;
    for (auto end = all.find('\n'); end != all.npos;
         end = all.find('\n', begin)) {
      const std::string old(all.substr(begin, end - begin));
      begin = end + 1;
      const auto json = nlohmann::json::parse(old, nullptr, false);
      if (json.is_object() && json.contains("round") &&
          json["round"].is_number_unsigned() &&
          json.value("features", nlohmann::json()).is_string())
        lines[key(json)] = old;
    }
  }
  lines[key(line)] = line.dump();
  std::string text;
  for (const auto& [at, one] : lines) text += one + "\n";
  return atomic_write(file, std::string_view(text));
}

}  // namespace

std::string summary(const EvaluationRecord& record) {
  std::string text = fmt::format("FID {:.2f}", record.frechet_distance);
  if (record.classes)
    text += fmt::format("  score {:.2f}", record.classes->inception_score_mean);
  return text;
}

std::string to_json(const EvaluationRecord& record) {
  Json json{{"round", record.round}};
  for (const auto& [metric, results] : results_of(record)) json.update(results);
  json["samples"] = record.samples;
  json["real_images"] = record.real_images;
  json["features"] = record.features;
  json["seconds"] = record.seconds.total();
  return json.dump();
}

Result<void> keep_evaluation(const fs::path& run,
                             const EvaluationRecord& record) {
  for (const auto& [metric, results] : results_of(record)) {
    const std::string name = metric + number_text(record.samples);
    const Json line{{"metric", name},
                    {"round", record.round},
                    {"results", results},
                    {"samples", record.samples},
                    {"real_images", record.real_images},
                    {"features", record.features},
                    {"seconds", record.seconds.total()}};
    const fs::path file = run / fmt::format("{}{}{}", kPrefix, name, kSuffix);
    if (auto put = put_line(file, line); !put) return put;
  }
  return {};
}

Result<void> truncate_evaluations(const fs::path& run, Round round) {
  std::error_code error;
  std::vector<fs::path> files;
  for (fs::directory_iterator it(run, error), end; !error && it != end;
       it.increment(error)) {
    const std::string name = it->path().filename().string();
    if (name.starts_with(kPrefix) && name.ends_with(kSuffix))
      files.push_back(it->path());
  }
  for (const fs::path& file : files)
    if (auto cut = truncate_after_round(file, round); !cut) return cut;
  return {};
}

}  // namespace mdgan
