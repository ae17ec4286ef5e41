// The options of the commands besides train.
#pragma once

#include <span>

#include "server/options.h"

namespace mdgan {

// `arguments` are those after the command.
Result<ParsedCommand> parse_sample(std::span<const char* const> arguments);
Result<ParsedCommand> parse_evaluate(std::span<const char* const> arguments);
Result<ParsedCommand> parse_export(std::span<const char* const> arguments);
Result<ParsedCommand> parse_keygen(std::span<const char* const> arguments);
Result<ParsedCommand> parse_invite(std::span<const char* const> arguments);
Result<ParsedCommand> parse_admit(std::span<const char* const> arguments);

}  // namespace mdgan
