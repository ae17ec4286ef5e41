// Prints what a program's --help says, without the program, which loads
// LibTorch:
//   mdgan-print-help mdgan-server train --help
#include <cstdio>
#include <string_view>
#include <variant>

#include "peer/options.h"
#include "server/command_options.h"

namespace {

template <typename Request, typename Parsed>
int print(const mdgan::Result<Parsed>& parsed) {
  if (!parsed || !std::holds_alternative<Request>(*parsed)) {
    std::fprintf(
        stderr, "mdgan-print-help: %s\n",
        parsed ? "not a request for help" : parsed.error().message.c_str());
    return static_cast<int>(mdgan::ExitCode::kUsage);
  }
  std::fputs(std::get<Request>(*parsed).text.c_str(), stdout);
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  const std::string_view program = argc > 1 ? argv[1] : "";
  if (program == "mdgan-peer")
    return print<mdgan::PeerHelpRequest>(
        mdgan::parse_peer_options(argc - 1, argv + 1, {}));
  return print<mdgan::HelpRequest>(
      mdgan::parse_server_options(argc - 1, argv + 1, {}));
}
