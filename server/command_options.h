// The options of the commands that work on a finished run.
#pragma once

#include <span>

#include "server/options.h"

namespace mdgan {

// `arguments` are those after the command.
Result<ParsedCommand> parse_sample(std::span<const char* const> arguments);
Result<ParsedCommand> parse_evaluate(std::span<const char* const> arguments);
Result<ParsedCommand> parse_export(std::span<const char* const> arguments);

}  // namespace mdgan
