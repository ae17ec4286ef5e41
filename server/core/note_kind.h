// The kinds of notes (events.h).
#pragma once

#include <array>
#include <string_view>
#include <utility>

namespace mdgan {

// What a note tells of, by the names that events.jsonl has.
enum class NoteKind {
  kOther,
  kJoined,
  kLeft,  // it said so
  kLost,
  kLate,         // the round goes on without the peer's answer
  kInTime,       // it answers in time again
  kSwap,         // every peer has the discriminator that it was to get
  kSwapAborted,  // every peer keeps its own
};
inline constexpr std::array<std::pair<NoteKind, std::string_view>, 8>
    kNoteKindNames{{
        {NoteKind::kOther, "fault"},
        {NoteKind::kJoined, "joined"},
        {NoteKind::kLeft, "left"},
        {NoteKind::kLost, "lost"},
        {NoteKind::kLate, "late"},
        {NoteKind::kInTime, "in time"},
        {NoteKind::kSwap, "swap"},
        {NoteKind::kSwapAborted, "swap aborted"},
    }};

}  // namespace mdgan
