// The numbers of a file of JSON lines, such as stats.jsonl, as curves over the
// rounds.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace mdgan {

// What became of several lines' values of one name.
struct SeriesCell {
  float min = 0;
  float max = 0;
  float mean = 0;
  std::uint32_t count = 0;  // values; 0: none

  void add(const SeriesCell& other);
};

// Keeps every line while there are at most kMostRows; of more, neighbours are
// put together, so that memory is bounded however long a run is.
class Series {
 public:
  static constexpr std::size_t kMostRows = 50'000;  // even
  static constexpr std::size_t kMostCurves = 64;
  static constexpr std::size_t kMostPoints = 800;  // of thinned_json()

  void clear();
  // The numbers of the object, and of the objects in it under "outer.inner",
  // but those in "results", as metric-*.jsonl has them, under their own names;
  // "rounds" is how many rounds came since the line before. What has no number
  // "round" or is no JSON is left out.
  void add(std::string_view line);

  std::size_t lines() const { return lines_; }
  // Of the newest line that has a value of that name.
  std::optional<double> last(std::string_view name) const;
  // Of all lines. `a_round` is a mean over the line's rounds: what it stands
  // for is that many times it.
  double sum(std::string_view name) const;
  double sum_over_rounds(std::string_view name) const;

  // {"rounds": [...], "curves": {NAME: {"mean": [...], "min": [...],
  // "max": [...]}}}, of at most `points` equal parts of the rows; a part's
  // round is that of its last line. null: no value; min and max are missing
  // where no part has several lines. REQUIRES: points > 0.
  std::string thinned_json(std::size_t points) const;

 private:
  struct Curve {
    std::string name;
    std::vector<SeriesCell> cells;  // one a row
    double last = 0;
    double sum = 0;
    double sum_over_rounds = 0;
  };
  class Numbers;
  Curve* curve(std::string_view name, std::size_t expected);
  const Curve* find(std::string_view name) const;
  void halve();

  std::vector<std::uint64_t> rounds_;  // of each row's last line
  std::vector<Curve> curves_;
  std::size_t lines_ = 0;
  std::uint64_t last_round_ = 0;
  std::size_t lines_a_row_ = 1;
  std::size_t in_last_row_ = 0;
};

}  // namespace mdgan
