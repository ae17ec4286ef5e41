#include "common/options/options_parser.h"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <boost/program_options.hpp>
#include <cerrno>
#include <fstream>
#include <set>
#include <system_error>

#include "common/options/option_values.h"
#include "common/options/text.h"

namespace mdgan {
namespace {

namespace po = boost::program_options;

// A line of a configuration file.
std::string line(std::string_view key, const std::string& value) {
  return fmt::format("{} ={}{}\n", key, value.empty() ? "" : " ", value);
}

bool is_path(const Option& option) {
  return option.placeholder == "DIR" || option.placeholder == "FILE";
}

// Boost takes "--flag false" of an option without a required value for a flag
// and a stray word; write it as "--flag=false".
std::vector<std::string> join_booleans(
    std::span<const char* const> arguments,
    const std::set<std::string, std::less<>>& booleans) {
  std::vector<std::string> joined;
  for (const std::string_view argument : arguments) {
    if (!joined.empty() && parse_bool(argument) &&
        booleans.contains(joined.back()))
      joined.back() += "=" + std::string(argument);
    else
      joined.emplace_back(argument);
  }
  return joined;
}

}  // namespace

// A file that is no configuration may hold anything.
Error usage_error(std::string message) {
  constexpr std::size_t kMost = 2000;
  if (message.size() > kMost) message.replace(kMost, message.npos, "...");
  for (char& c : message)
    if ((static_cast<unsigned char>(c) < ' ' && c != '\n') || c == '\x7f')
      c = '?';
  return {std::move(message), ExitCode::kUsage};
}

OptionTable::OptionTable(std::vector<OptionGroup> groups)
    : groups_(std::move(groups)) {
  for (const OptionGroup& group : groups_)
    for (const Option& option : group.options)
      defaults_.emplace_back(option.name, text_of(option.value));
}

Result<void> OptionTable::parse(std::span<const char* const> arguments,
                                const Environment& environment) {
  return parse(arguments, environment,
               [] { return std::vector<std::filesystem::path>(); });
}

Result<void> OptionTable::parse(
    std::span<const char* const> arguments, const Environment& environment,
    const std::function<std::vector<std::filesystem::path>()>& files) {
  const auto flags = read_flags(arguments);
  if (!flags) return flags.error();
  // Once to learn which files there are, and again to overrule them.
  if (auto done = assign(environment); !done) return done;
  if (auto done = assign(*flags, ""); !done) return done;
  for (const std::filesystem::path& file : files()) {
    const auto keys = read_file(file);
    if (!keys) return keys.error();
    if (auto done = assign(*keys, file.string() + ": "); !done) return done;
  }
  if (auto done = assign(environment); !done) return done;
  return assign(*flags, "");
}

Result<void> OptionTable::assign(const Environment& environment) {
  for (const auto& [option_name, text] : defaults_) {
    const std::string variable = variable_of(option_name);
    const auto found = environment.find(variable);
    if (found == environment.end() || found->second.empty()) continue;
    if (auto done = assign({{std::string(option_name), found->second}},
                           "the variable " + variable + ": ");
        !done)
      return done;
  }
  return {};
}

std::vector<std::string> OptionTable::unknown_in(
    const Environment& environment) const {
  std::vector<std::string_view> names;
  for (const auto& [name, text] : defaults_) names.push_back(name);
  return unknown_variables(environment, names);
}

Result<std::vector<OptionTable::Assignment>> OptionTable::read_flags(
    std::span<const char* const> arguments) const {
  po::options_description description;
  std::set<std::string, std::less<>> booleans;
  std::vector<std::string_view> names;
  for (const OptionGroup& group : groups_)
    for (const Option& option : group.options) {
      const std::string name(option.name);
      auto* semantic = po::value<std::string>();
      if (std::holds_alternative<bool*>(option.value)) {
        semantic->implicit_value("true");
        booleans.insert("--" + name);
      }
      description.add_options()(name.c_str(), semantic);
      names.push_back(option.name);
    }
  std::vector<Assignment> assignments;
  try {
    namespace style = po::command_line_style;
    const auto parsed =
        po::command_line_parser(join_booleans(arguments, booleans))
            .options(description)
            .style(style::allow_long | style::long_allow_adjacent |
                   style::long_allow_next)
            .run();
    for (const po::option& option : parsed.options) {
      if (option.string_key.empty())
        return usage_error(fmt::format(
            "unexpected argument '{}': options are given as --key value",
            option.original_tokens.empty() ? ""
                                           : option.original_tokens.front()));
      const Option* known = find(option.string_key);
      if (known != nullptr && is_path(*known) && !option.value.empty() &&
          option.value.front().empty())
        return usage_error(fmt::format(
            "{} is empty (a variable that is not set?): give a {}, or leave it "
            "out",
            option.string_key,
            known->placeholder == "DIR" ? "folder" : "file"));
      assignments.push_back({option.string_key, option.value.empty()
                                                    ? "true"
                                                    : option.value.front()});
    }
  } catch (const po::unknown_option& error) {
    std::string name = error.get_option_name();
    name.erase(0, name.find_first_not_of('-'));
    name.erase(std::min(name.find('='), name.size()));
    return usage_error(
        fmt::format("unknown option --{}{}", name, suggestion(name, names)));
  } catch (const po::error_with_option_name& error) {
    return usage_error(
        fmt::format("{} needs a value", error.get_option_name()));
  } catch (const std::exception& error) {
    return usage_error(fmt::format("the command line: {}", error.what()));
  }
  return assignments;
}

Result<std::vector<OptionTable::Assignment>> OptionTable::read_file(
    const std::filesystem::path& file) const {
  // Opening a pipe would wait for its other end.
  std::error_code unseen;
  const bool is_there = std::filesystem::exists(file, unseen);
  if (is_there && !std::filesystem::is_regular_file(file, unseen))
    return usage_error(fmt::format(
        "{}: cannot be read: it is not a regular file", file.string()));
  std::ifstream stream(file);
  if (!stream)
    return usage_error(fmt::format("{}: cannot be read: {}", file.string(),
                                   std::generic_category().message(errno)));
  // Editors of Windows put a mark in front of UTF-8.
  constexpr std::string_view kMark = "\xef\xbb\xbf";
  std::string begin(kMark.size(), '\0');
  stream.read(begin.data(), static_cast<std::streamsize>(begin.size()));
  if (!stream || begin != kMark) {
    stream.clear();
    stream.seekg(0);
  }
  std::vector<std::string_view> names;
  for (const auto& [name, text] : defaults_) names.push_back(name);
  std::vector<Assignment> assignments;
  std::set<std::string> seen;
  try {
    const auto parsed =
        po::parse_config_file(stream, po::options_description(), true);
    for (const po::option& option : parsed.options) {
      const std::string& key = option.string_key;
      if (const std::size_t dot = key.find('.'); dot != key.npos)
        return usage_error(fmt::format(
            "{}: a section like [{}] does not belong here: remove that line",
            file.string(), key.substr(0, dot)));
      const Option* const known = find(key);
      if (known == nullptr)
        return usage_error(fmt::format("{}: unknown key '{}'{}", file.string(),
                                       key, suggestion(key, names)));
      if (known->where == Where::kFlagOnly)
        return usage_error(
            fmt::format("{}: '{}' is for the command line only: remove it",
                        file.string(), key));
      if (!seen.insert(key).second)
        return usage_error(fmt::format(
            "{}: key '{}' stands there twice: keep one", file.string(), key));
      assignments.push_back(
          {key, option.value.empty() ? "" : option.value.front()});
    }
  } catch (const std::exception& error) {
    return usage_error(
        fmt::format("{}: {}; a line is 'key = value' or '# comment'",
                    file.string(), error.what()));
  }
  return assignments;
}

Result<void> OptionTable::assign(const std::vector<Assignment>& assignments,
                                 const std::string& origin) {
  for (const Assignment& assignment : assignments) {
    const Option* const option = find(assignment.name);
    MDGAN_CHECK(option != nullptr);
    const std::string wrong = set_value(*option, assignment.value);
    if (!wrong.empty()) return usage_error(origin + wrong);
  }
  return {};
}

const Option* OptionTable::find(std::string_view name) const {
  for (const OptionGroup& group : groups_)
    for (const Option& option : group.options)
      if (option.name == name) return &option;
  return nullptr;
}

std::string OptionTable::limits_and_default(const Option& option) const {
  std::string text;
  if (const auto* custom = std::get_if<CustomValue>(&option.value))
    text = custom->expected;
  else if (option.range.high < std::numeric_limits<double>::infinity())
    text = number(option.range.low) + " to " + number(option.range.high);
  for (const auto& [name, value] : defaults_)
    if (name == option.name && !value.empty() &&
        option.where == Where::kFlagAndFile)
      text += (text.empty() ? "default " : "; default ") + value;
  return text.empty() ? text : " [" + text + "]";
}

std::string OptionTable::help() const {
  constexpr std::size_t kIndent = 26;
  std::string out;
  for (const OptionGroup& group : groups_) {
    out += fmt::format("{}{}\n", out.empty() ? "" : "\n", group.title);
    for (const Option& option : group.options) {
      std::string flag = fmt::format("  --{}{}{}", option.name,
                                     option.placeholder.empty() ? "" : " ",
                                     option.placeholder);
      if (flag.size() + 2 > kIndent)
        flag += "\n" + std::string(kIndent, ' ');
      else
        flag.resize(kIndent, ' ');
      out += flag +
             wrap(std::string(option.help) + limits_and_default(option),
                  80 - kIndent, kIndent) +
             "\n";
    }
  }
  return out;
}

std::string OptionTable::effective() const {
  std::string out;
  for (const OptionGroup& group : groups_) {
    std::string lines;
    for (const Option& option : group.options)
      if (option.where == Where::kFlagAndFile)
        lines += line(option.name, text_of(option.value));
    if (!lines.empty())
      out += fmt::format("{}# {}\n{}", out.empty() ? "" : "\n", group.title,
                         lines);
  }
  return out;
}

std::string OptionTable::template_file() const {
  std::string out;
  for (const OptionGroup& group : groups_) {
    std::string lines;
    for (const Option& option : group.options) {
      if (option.where == Where::kFlagOnly) continue;
      std::string help =
          wrap(std::string(option.help) + limits_and_default(option), 78, 0);
      for (std::size_t at = 0; (at = help.find('\n', at)) != help.npos; at += 3)
        help.replace(at, 1, "\n# ");
      const auto preset =
          std::find_if(defaults_.begin(), defaults_.end(),
                       [&](const auto& d) { return d.first == option.name; });
      lines += "\n# " + help + "\n#" + line(option.name, preset->second);
    }
    if (!lines.empty())
      out += fmt::format("\n## {} {}\n{}", group.title,
                         std::string(76 - group.title.size(), '#'), lines);
  }
  return out;
}

}  // namespace mdgan
