#include "server/view/series.h"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <cmath>
#include <iterator>
#include <nlohmann/json.hpp>
#include <span>

namespace mdgan {
namespace {

using Json = nlohmann::json;

constexpr std::size_t kMostName = 64;

// What a curve may be called: the names that this program writes.
bool is_name(std::string_view text) {
  return !text.empty() && text.size() <= kMostName &&
         std::ranges::all_of(text, [](char c) {
           return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ||
                  c == '_' || c == '.';
         });
}

}  // namespace

void SeriesCell::add(const SeriesCell& other) {
  if (other.count == 0) return;
  if (count == 0) {
    *this = other;
    return;
  }
  min = std::min(min, other.min);
  max = std::max(max, other.max);
  count += other.count;
  mean += (other.mean - mean) * static_cast<float>(other.count) /
          static_cast<float>(count);
}

// Gathers a line's numbers while it is parsed: no tree is built of it.
class Series::Numbers final : public nlohmann::json_sax<Json> {
 public:
  struct Value {
    std::string name;
    double value = 0;
  };

  // REQUIRES: sax_parse() has returned true.
  std::span<const Value> values() const { return {values_.data(), used_}; }
  std::optional<std::uint64_t> round() const { return round_; }
  void reset() {
    used_ = 0;
    depth_ = arrays_ = 0;
    round_.reset();
    key_.clear();
    outer_.clear();
  }

  bool null() override { return true; }
  bool boolean(bool) override { return true; }
  bool number_integer(number_integer_t value) override {
    return number(static_cast<double>(value));
  }
  bool number_unsigned(number_unsigned_t value) override {
    if (depth_ == 1 && arrays_ == 0 && key_ == "round") {
      round_ = value;
      return true;
    }
    return number(static_cast<double>(value));
  }
  bool number_float(number_float_t value, const string_t&) override {
    return number(value);
  }
  bool string(string_t&) override { return true; }
  bool binary(binary_t&) override { return true; }
  bool start_object(std::size_t) override {
    if (++depth_ == 2) outer_ = key_;
    return true;
  }
  bool key(string_t& text) override {
    key_.swap(text);
    return true;
  }
  bool end_object() override {
    --depth_;
    return true;
  }
  bool start_array(std::size_t) override {
    ++arrays_;
    return true;
  }
  bool end_array() override {
    --arrays_;
    return true;
  }
  bool parse_error(std::size_t, const std::string&,
                   const nlohmann::detail::exception&) override {
    return false;
  }

 private:
  bool number(double value) {
    if (arrays_ > 0 || depth_ == 0 || depth_ > 2 || !std::isfinite(value) ||
        used_ == kMostCurves || (depth_ == 1 && key_ == "schema"))
      return true;
    if (used_ == values_.size()) values_.emplace_back();
    Value& next = values_[used_];
    next.name.clear();
    if (depth_ == 2 && outer_ != "results")
      next.name.append(outer_).append(".");
    next.name.append(key_);
    next.value = value;
    ++used_;
    return true;
  }

  std::vector<Value> values_;  // of which used_ count: their memory is kept
  std::size_t used_ = 0;
  int depth_ = 0;
  int arrays_ = 0;
  std::optional<std::uint64_t> round_;
  std::string key_;
  std::string outer_;
};

void Series::clear() { *this = Series(); }

const Series::Curve* Series::find(std::string_view name) const {
  const auto found = std::ranges::find(curves_, name, &Curve::name);
  return found == curves_.end() ? nullptr : &*found;
}

// Lines have their values in the same order: the next one is tried first.
Series::Curve* Series::curve(std::string_view name, std::size_t expected) {
  if (expected < curves_.size() && curves_[expected].name == name)
    return &curves_[expected];
  const auto found = std::ranges::find(curves_, name, &Curve::name);
  if (found != curves_.end()) return &*found;
  if (curves_.size() == kMostCurves || !is_name(name)) return nullptr;
  Curve& made = curves_.emplace_back();
  made.name = name;
  made.cells.resize(rounds_.size());
  return &made;
}

void Series::add(std::string_view line) {
  static thread_local Numbers numbers;
  numbers.reset();
  if (!Json::sax_parse(line.begin(), line.end(), &numbers) || !numbers.round())
    return;
  const std::uint64_t round = *numbers.round();
  if (in_last_row_ == lines_a_row_ || rounds_.empty()) {
    if (rounds_.size() == kMostRows) halve();
  }
  if (in_last_row_ == lines_a_row_ || rounds_.empty()) {
    rounds_.push_back(round);
    for (Curve& curve : curves_) curve.cells.emplace_back();
    in_last_row_ = 0;
  }
  rounds_.back() = round;
  ++in_last_row_;
  const double rounds =
      round > last_round_ ? static_cast<double>(round - last_round_) : 0;
  last_round_ = round;
  ++lines_;
  std::size_t expected = 0;
  const auto put = [&](std::string_view name, double value) {
    Curve* const into = curve(name, expected);
    if (into == nullptr) return;
    expected = static_cast<std::size_t>(into - curves_.data()) + 1;
    const auto number = static_cast<float>(value);
    into->cells.back().add({number, number, number, 1});
    into->last = value;
    into->sum += value;
    into->sum_over_rounds += value * rounds;
  };
  put("rounds", rounds);
  for (const Numbers::Value& value : numbers.values())
    put(value.name, value.value);
}

void Series::halve() {
  const std::size_t half = rounds_.size() / 2;
  for (std::size_t i = 0; i < half; ++i) rounds_[i] = rounds_[2 * i + 1];
  rounds_.resize(half);
  for (Curve& curve : curves_) {
    for (std::size_t i = 0; i < half; ++i) {
      SeriesCell both = curve.cells[2 * i];
      both.add(curve.cells[2 * i + 1]);
      curve.cells[i] = both;
    }
    curve.cells.resize(half);
  }
  lines_a_row_ *= 2;
  in_last_row_ = lines_a_row_;
}

std::optional<double> Series::last(std::string_view name) const {
  const Curve* const found = find(name);
  if (found == nullptr) return std::nullopt;
  return found->last;
}
double Series::sum(std::string_view name) const {
  const Curve* const found = find(name);
  return found == nullptr ? 0 : found->sum;
}
double Series::sum_over_rounds(std::string_view name) const {
  const Curve* const found = find(name);
  return found == nullptr ? 0 : found->sum_over_rounds;
}

std::string Series::thinned_json(std::size_t points) const {
  const std::size_t rows = rounds_.size();
  const std::size_t parts = std::min(rows, points);
  // The first row of part i; that of `parts` is the end.
  const auto begin = [&](std::size_t i) { return i * rows / parts; };
  fmt::memory_buffer text;
  const auto out = std::back_inserter(text);
  fmt::format_to(out, "{{\"rounds\":[");
  for (std::size_t i = 0; i < parts; ++i)
    fmt::format_to(out, "{}{}", i ? "," : "", rounds_[begin(i + 1) - 1]);
  fmt::format_to(out, "],\"curves\":{{");
  const bool has_ranges = parts < rows || lines_a_row_ > 1;
  std::vector<SeriesCell> cells(parts);
  const auto list = [&](const char* name, float SeriesCell::*member) {
    fmt::format_to(out, "\"{}\":[", name);
    for (std::size_t i = 0; i < parts; ++i) {
      if (i > 0) text.push_back(',');
      if (cells[i].count == 0 || !std::isfinite(cells[i].*member))
        fmt::format_to(out, "null");
      else
        fmt::format_to(out, "{:.6g}", cells[i].*member);
    }
    text.push_back(']');
  };
  for (const Curve& curve : curves_) {
    for (std::size_t i = 0; i < parts; ++i) {
      cells[i] = {};
      for (std::size_t row = begin(i); row < begin(i + 1); ++row)
        cells[i].add(curve.cells[row]);
    }
    fmt::format_to(out, "{}\"{}\":{{", &curve == curves_.data() ? "" : ",",
                   curve.name);
    list("mean", &SeriesCell::mean);
    if (has_ranges) {
      text.push_back(',');
      list("min", &SeriesCell::min);
      text.push_back(',');
      list("max", &SeriesCell::max);
    }
    text.push_back('}');
  }
  fmt::format_to(out, "}}}}");
  return fmt::to_string(text);
}

}  // namespace mdgan
