// Tells the service manager how the run stands; see
// common/base/service_manager.h.
#pragma once

#include <string>

#include "server/run/run_observer.h"

namespace mdgan {

// Ready is a server that peers can connect to; alive is one whose loop turns.
class ServiceStatus final : public RunObserver {
 public:
  void on_state(ServerState state) override;
  void on_view(const CoordinatorView& view, TimePoint now) override;
  void on_finished(const Finish& finish) override;

 private:
  std::string text() const;

  ServerState state_ = ServerState::kStarting;
  CoordinatorView view_;
};

}  // namespace mdgan
