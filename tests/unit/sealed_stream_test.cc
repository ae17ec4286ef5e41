// What goes by relay: sealed, cut into chunks and put together again.
#include "common/keys/sealed_stream.h"

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <string>
#include <vector>

#include "peer/io/relays.h"
#include "protocol/codec.h"
#include "protocol/frames.h"
#include "protocol/limits.h"
#include "tests/support/catch.h"

namespace mdgan::test {

namespace {

using Chunks = std::vector<std::vector<std::byte>>;

const KeyPair& key_of(int who) {
  static const std::vector<KeyPair> keys{make_key_pair(), make_key_pair(),
                                         make_key_pair()};
  return keys.at(static_cast<std::size_t>(who));
}

// From 0 to 1.
SealedTransfer exchange() {
  return {
      RunId{std::byte{7}}, {5}, 99, key_of(0).public_key, key_of(1).public_key};
}

std::vector<std::byte> bytes(std::size_t count, unsigned first) {
  std::vector<std::byte> all(count);
  for (std::size_t i = 0; i < count; ++i)
    all[i] = static_cast<std::byte>((first + i) % 251);
  return all;
}

Chunks seal(const SealKey& key) {
  Sealer sealer(key);
  return {sealer.seal(bytes(3, 0), false), sealer.seal(bytes(100, 1), false),
          sealer.seal(bytes(50, 2), true)};
}

// How many of them are opened, one after the other.
std::size_t opened(const SealKey& key, const Chunks& chunks) {
  Opener opener(key);
  std::size_t count = 0;
  for (const auto& chunk : chunks) {
    if (!opener.open(chunk)) break;
    ++count;
  }
  return count;
}

protocol::Message transfer_of(const std::vector<Blob>& tensors) {
  protocol::Transfer transfer;
  transfer.swap = {5};
  transfer.token = 99;
  transfer.adam_steps = 12;
  for (const Blob& tensor : tensors) transfer.tensors.push_back(tensor.meta);
  return {RunId{std::byte{7}}, 1, {3}, {1}, transfer};
}

std::vector<Blob> tensors(std::uint64_t parameters) {
  const protocol::TensorMeta meta{protocol::DType::kFloat32, {parameters}};
  std::vector<Blob> all;
  for (unsigned i = 0; i < 3; ++i)
    all.push_back(copy_blob(meta, bytes(4 * parameters, i)));
  return all;
}

std::vector<protocol::TensorMeta> metas(const std::vector<Blob>& blobs) {
  std::vector<protocol::TensorMeta> all;
  for (const Blob& blob : blobs) all.push_back(blob.meta);
  return all;
}

SealKey key() { return *SealKey::of(exchange(), key_of(0)); }

}  // namespace

TEST_CASE("both ends have the same key, and nobody else has it") {
  const auto source = SealKey::of(exchange(), key_of(0));
  const auto target = SealKey::of(exchange(), key_of(1));
  REQUIRE(source);
  REQUIRE(target);
  CHECK(source->bytes() == target->bytes());
  const auto another = SealKey::of(exchange(), key_of(2));
  REQUIRE_FALSE(another);
  CHECK(another.error().code == ExitCode::kAuthentication);
  SealedTransfer t = exchange();
  SECTION("the third knows everything but the secret keys") {
    t.source = key_of(2).public_key;
    CHECK(SealKey::of(t, key_of(2))->bytes() != target->bytes());
  }
  SECTION("of another exchange") {
    t.swap = {6};
    CHECK(SealKey::of(t, key_of(0))->bytes() != target->bytes());
  }
  SECTION("with another token") {
    t.token = 98;
    CHECK(SealKey::of(t, key_of(0))->bytes() != target->bytes());
  }
  SECTION("of another run") {
    t.run[0] = std::byte{8};
    CHECK(SealKey::of(t, key_of(0))->bytes() != target->bytes());
  }
  SECTION("in the other direction") {
    std::swap(t.source, t.target);
    CHECK(SealKey::of(t, key_of(0))->bytes() != target->bytes());
  }
  SECTION("without keys") {
    CHECK(SealKey::of(t, std::nullopt)->bytes() != target->bytes());
  }
}

TEST_CASE("a key that is none makes no seal") {
  SealedTransfer t = exchange();
  t.target = {};
  const auto key = SealKey::of(t, key_of(0));
  REQUIRE_FALSE(key);
  CHECK(key.error().code == ExitCode::kAuthentication);
}

TEST_CASE("what is sealed hides its content, and is opened once, in order") {
  const Chunks chunks = seal(key());
  for (const auto& chunk : chunks)
    CHECK(chunk.size() <= 100 + protocol::kSealAllowance);
  const auto plain = bytes(100, 1);
  CHECK(std::memcmp(chunks[1].data(), plain.data(), plain.size()) != 0);
  Opener opener(key());
  CHECK(opener.open(chunks[0]) == bytes(3, 0));
  CHECK(opener.open(chunks[1]) == plain);
  CHECK_FALSE(opener.ended());
  CHECK(opener.open(chunks[2]) == bytes(50, 2));
  CHECK(opener.ended());
  CHECK_FALSE(opener.open(chunks[2]));
}

TEST_CASE("what was done to the chunks on their way is found") {
  Chunks chunks = seal(key());
  SECTION("a bit is changed") {
    for (std::size_t i = 0; i < chunks[1].size(); ++i) {
      chunks[1][i] ^= std::byte{1};
      CHECK(opened(key(), chunks) == 1);
      chunks[1][i] ^= std::byte{1};
    }
  }
  SECTION("the header is changed") {
    chunks[0][3] ^= std::byte{1};
    CHECK(opened(key(), chunks) == 0);
  }
  SECTION("one is cut") {
    for (const std::size_t size : {0U, 1U, 16U, 17U, 116U}) {
      chunks[1].resize(size);
      CHECK(opened(key(), chunks) == 1);
    }
  }
  SECTION("the first is cut") {
    for (const std::size_t size : {43U, 24U, 23U, 0U}) {
      chunks[0].resize(size);
      CHECK(opened(key(), chunks) == 0);
    }
  }
  SECTION("two change places") {
    std::swap(chunks[1], chunks[2]);
    CHECK(opened(key(), chunks) == 1);
  }
  SECTION("one is repeated") {
    chunks[2] = chunks[1];
    CHECK(opened(key(), chunks) == 2);
  }
  SECTION("one is left out") {
    chunks.erase(chunks.begin() + 1);
    CHECK(opened(key(), chunks) == 1);
  }
  SECTION("one of another exchange, or of this one sealed again, is put in") {
    SealedTransfer t = exchange();
    t.swap = {6};
    chunks[1] = seal(*SealKey::of(t, key_of(0)))[1];
    CHECK(opened(key(), chunks) == 1);
    chunks[1] = seal(key())[1];
    CHECK(opened(key(), chunks) == 1);
  }
  SECTION("the last ones are left out") {
    chunks.pop_back();
    Opener opener(key());
    for (const auto& chunk : chunks) CHECK(opener.open(chunk));
    CHECK_FALSE(opener.ended());
  }
}

TEST_CASE("a transfer comes out of its chunks as it went in") {
  const std::uint64_t parameters = GENERATE(1U, 16'384U, 40'000U);
  const std::vector<Blob> sent = tensors(parameters);
  const protocol::Message message = transfer_of(sent);
  OutgoingRelay out(key(), message, sent);
  CHECK(out.chunks() == protocol::chunks_of(metas(sent)));
  IncomingRelay in(SwapId{7}, key(), metas(sent));
  std::uint32_t chunks = 0;
  while (!out.ended()) {
    CHECK_FALSE(in.complete());
    const Blob chunk = out.next_chunk();
    CHECK(protocol::is_chunk({&chunk.meta, 1}));
    REQUIRE(in.take(chunk.bytes));
    ++chunks;
  }
  CHECK(chunks == out.chunks());
  REQUIRE(in.complete());
  CHECK(in.message() == message);
  REQUIRE(in.tensors().size() == 3);
  for (std::size_t i = 0; i < 3; ++i) {
    CHECK(in.tensors()[i].meta == sent[i].meta);
    CHECK(std::ranges::equal(in.tensors()[i].bytes, sent[i].bytes));
  }
}

TEST_CASE("a relayed transfer of another size is refused before it has come") {
  const std::vector<Blob> sent = tensors(40'000);
  OutgoingRelay out(key(), transfer_of(sent), sent);
  auto expected = metas(sent);
  SECTION("fewer tensors") { expected.pop_back(); }
  SECTION("other tensors") { expected[0].dims[0] = 39'999; }
  IncomingRelay in(SwapId{7}, key(), expected);
  CHECK_FALSE(in.take(out.next_chunk().bytes));
}

TEST_CASE("a source that cuts its transfer otherwise is refused") {
  const std::vector<Blob> sent = tensors(40'000);
  const auto envelope = protocol::encode(transfer_of(sent));
  Sealer sealer(key());
  IncomingRelay in(SwapId{7}, key(), metas(sent));
  SECTION("it ends at once") {
    CHECK_FALSE(in.take(sealer.seal(envelope, true)));
  }
  SECTION("its first chunk is no transfer") {
    CHECK_FALSE(in.take(sealer.seal(bytes(40, 1), false)));
  }
  SECTION("a chunk is shorter than it should be") {
    REQUIRE(in.take(sealer.seal(envelope, false)));
    CHECK_FALSE(in.take(sealer.seal(bytes(1000, 1), false)));
  }
  SECTION("a chunk is longer than it should be") {
    REQUIRE(in.take(sealer.seal(envelope, false)));
    CHECK_FALSE(
        in.take(sealer.seal(bytes(protocol::kChunkBytes + 1, 1), false)));
  }
  SECTION("nothing says that it has ended") {
    REQUIRE(in.take(sealer.seal(envelope, false)));
    for (int tensor = 0; tensor < 3; ++tensor) {
      std::size_t left = 160'000;
      while (left > 0) {
        const std::size_t part = std::min(protocol::kChunkBytes, left);
        left -= part;
        const bool taken = in.take(sealer.seal(bytes(part, 0), false)).ok();
        CHECK(taken == (tensor < 2 || left > 0));
      }
    }
  }
}

}  // namespace mdgan::test
