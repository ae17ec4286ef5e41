// A state machine's state changes in one place, which knows what may follow
// what.
#pragma once

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <span>
#include <string_view>
#include <utility>

namespace mdgan {

// Sets `state` to `next`. A transition that is not in `legal` can only be our
// own bug: prints it with its label, what made it happen, and aborts, in
// release too. `names` has each state's name.
template <typename State>
void transition(State& state, State next, const char* label,
                std::span<const std::pair<State, State>> legal,
                std::span<const std::pair<State, std::string_view>> names) {
  if (std::ranges::find(legal, std::pair{state, next}) == legal.end()) {
    const auto name = [&](State s) {
      const auto it =
          std::ranges::find(names, s, [](const auto& n) { return n.first; });
      return it == names.end() ? "?" : it->second.data();
    };
    std::fprintf(stderr, "broken invariant: %s -> %s: %s\n", name(state),
                 name(next), label);
    std::abort();
  }
  state = next;
}

}  // namespace mdgan
