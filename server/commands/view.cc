#include <poll.h>
#include <spdlog/spdlog.h>

#include <cerrno>

#include "common/base/stop_signal.h"
#include "protocol/clean_text.h"
#include "server/commands/commands.h"
#include "server/run/saved_status.h"
#include "server/view/page_server.h"

namespace mdgan {

ExitCode run_view(const ViewOptions& options) {
  const auto page = page_address(options.http, options.http_token);
  if (!page) return report(page.error());
  const auto run = find_run(options.run, "runs");
  if (!run) return report(run.error());
  if (const auto status = read_status(*run); !status)
    return report(status.error());
  const int stop = install_stop_signals();
  stop_signals_are_read();
  RunView view(*run);
  view.load();
  const auto server = serve_page(std::move(view), *page);
  if (!server) return report(server.error());
  spdlog::info("the page of {} is at {}; Ctrl-C ends this",
               protocol::presentable(run->string()), server->url());
  pollfd waits{stop, POLLIN, 0};
  while (::poll(&waits, 1, -1) < 0 && errno == EINTR) {
  }
  return ExitCode::kOk;
}

}  // namespace mdgan
