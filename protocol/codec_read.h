// Reads the fields of each message, checking them. Private to the codec.
#pragma once

#include <string_view>

#include "common/base/ids.h"
#include "protocol/messages.h"
#include "protocol/reader.h"

namespace mdgan::protocol {

PeerId read_peer(Reader& r, std::string_view field);

// Each reads a message's own fields in their order; the caller calls finish().
void read_fields(Reader& r, Hello& m);
void read_fields(Reader& r, Welcome& m);
void read_fields(Reader& r, RoundBegin& m);
void read_fields(Reader& r, Batch& m);
void read_fields(Reader& r, Feedback& m);
void read_fields(Reader& r, Swap& m);
void read_fields(Reader& r, Transfer& m);
void read_fields(Reader& r, Staged& m);
void read_fields(Reader& r, Commit& m);
void read_fields(Reader& r, Abort& m);
void read_fields(Reader& r, Checkpoint& m);
void read_fields(Reader& r, Progress& m);
void read_fields(Reader& r, Goodbye& m);
void read_fields(Reader& r, ErrorReply& m);
void read_fields(Reader& r, Chunk& m);
void read_fields(Reader& r, ChunksTaken& m);
void read_fields(Reader& r, Join& m);
void read_fields(Reader& r, Joined& m);
void read_fields(Reader& r, Evaluate& m);
void read_fields(Reader& r, Evaluated& m);

}  // namespace mdgan::protocol
