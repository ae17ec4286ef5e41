#include "common/files/safetensors.h"

#include <array>
#include <cstring>
#include <vector>

#include "tests/support/catch.h"
#include "tests/support/temporary_directory.h"
#include "tests/support/text_file.h"

namespace mdgan::test {
namespace {

using protocol::DType;

template <typename T>
NamedBlob named(std::string name, DType dtype, std::vector<std::uint64_t> dims,
                const std::vector<T>& values) {
  return {std::move(name), copy_blob({dtype, std::move(dims)},
                                     std::as_bytes(std::span(values)))};
}

std::vector<NamedBlob> examples() {
  return {
      named<float>("weight", DType::kFloat32, {2, 3}, {1, 2, 3, 4, 5, 6}),
      named<std::int32_t>("labels", DType::kInt32, {3}, {-1, 0, 7}),
      named<std::int64_t>("adam.steps", DType::kInt64, {}, {1LL << 40}),
      named<float>("empty", DType::kFloat32, {0, 5}, {}),
  };
}

std::string bytes_of(const Blob& blob) {
  return {reinterpret_cast<const char*>(blob.bytes.data()), blob.bytes.size()};
}

// A file of `header` as it stands and then `data`.
std::string file_of(std::string_view header, std::string_view data) {
  const std::uint64_t length = header.size();
  std::string file(sizeof(length), '\0');
  std::memcpy(file.data(), &length, sizeof(length));
  return file.append(header).append(data);
}

TEST_CASE("tensors and metadata come back from a safetensors file",
          "[safetensors]") {
  const TemporaryDirectory dir;
  const auto path = dir / "a.safetensors";
  const std::map<std::string, std::string> metadata{
      {"round", "12"}, {"quoted", "\"\\\n\xc3\xa9"}};
  REQUIRE(write_safetensors(path, examples(), metadata));
  const auto file = read_safetensors(path);
  REQUIRE(file);
  CHECK(file->metadata == metadata);
  REQUIRE(file->tensors.size() == 4);
  CHECK(file->tensors[0].name == "adam.steps");  // int64 first: all aligned
  for (const NamedBlob& expected : examples()) {
    INFO(expected.name);
    const auto found = std::find_if(
        file->tensors.begin(), file->tensors.end(),
        [&](const NamedBlob& b) { return b.name == expected.name; });
    REQUIRE(found != file->tensors.end());
    CHECK(found->blob.meta == expected.blob.meta);
    CHECK(bytes_of(found->blob) == bytes_of(expected.blob));
    CHECK(reinterpret_cast<std::uintptr_t>(found->blob.bytes.data()) %
              bytes_of(found->blob.meta.dtype) ==
          0);
  }
}

TEST_CASE("a safetensors file is laid out as its specification says",
          "[safetensors]") {
  const TemporaryDirectory dir;
  const auto path = dir / "a.safetensors";
  const std::vector<NamedBlob> tensors{
      named<std::int32_t>("a", DType::kInt32, {2}, {1, 2})};
  REQUIRE(write_safetensors(path, tensors));
  const std::string header =
      R"({"a":{"data_offsets":[0,8],"dtype":"I32","shape":[2]}})";
  std::string padded = header;
  padded.append((8 - header.size() % 8) % 8, ' ');
  CHECK(read_text(path) == file_of(padded, std::string("\1\0\0\0\2\0\0\0", 8)));
}

TEST_CASE("a file without tensors is a file", "[safetensors]") {
  const TemporaryDirectory dir;
  REQUIRE(write_safetensors(dir / "a", {}));
  const auto file = read_safetensors(dir / "a");
  REQUIRE(file);
  CHECK(file->tensors.empty());
}

TEST_CASE("every truncation of a safetensors file is refused",
          "[safetensors]") {
  const TemporaryDirectory dir;
  REQUIRE(write_safetensors(dir / "whole", examples()));
  const std::string whole = read_text(dir / "whole");
  const auto path = dir / "cut";
  for (std::size_t n = 0; n < whole.size(); ++n) {
    write_text(path, std::string_view(whole).substr(0, n));
    const auto file = read_safetensors(path);
    INFO(n << " of " << whole.size());
    REQUIRE_FALSE(file);
    CHECK(file.error().code == ExitCode::kCheckpoint);
    CHECK(file.error().message.find(path.string()) != std::string::npos);
  }
  write_text(path, whole + '\0');
  CHECK_FALSE(read_safetensors(path));
}

TEST_CASE("no flipped bit in a safetensors file crashes the reader",
          "[safetensors]") {
  const TemporaryDirectory dir;
  REQUIRE(write_safetensors(dir / "whole", examples()));
  const std::string whole = read_text(dir / "whole");
  std::size_t refused = 0;
  for (std::size_t bit = 0; bit < 8 * whole.size(); ++bit) {
    std::string damaged = whole;
    damaged[bit / 8] = static_cast<char>(damaged[bit / 8] ^ (1 << bit % 8));
    write_text(dir / "damaged", damaged);
    const auto file = read_safetensors(dir / "damaged");
    if (!file) ++refused;
    if (bit < 64) CHECK_FALSE(file);  // the header's length
  }
  CHECK(refused > whole.size());
}

TEST_CASE("hostile safetensors headers are refused", "[safetensors]") {
  const std::string eight(8, 'x');
  struct Case {
    const char* what;
    std::string file;
  };
  const auto tensor = [&](std::string_view fields) {
    return file_of("{\"a\":" + std::string(fields) + "}", eight);
  };
  const std::vector<Case> cases{
      {"length 2^64 - 1", std::string(8, '\xff') + eight},
      {"length 2^63", std::string(7, '\0') + '\x80' + eight},
      {"length beyond the file", file_of("{}", "").replace(0, 1, "\x03")},
      {"no JSON", file_of("hello", "")},
      {"no object", file_of("[]", "")},
      {"not UTF-8", file_of("{\"\xff\":1}", "")},
      {"two values", file_of("{}{}", "")},
      {"deep", file_of(std::string(100'000, '['), "")},
      {"deep and balanced",
       file_of("{\"a\":" + std::string(9, '[') + std::string(9, ']') + "}",
               "")},
      {"metadata no object", file_of(R"({"__metadata__":[]})", "")},
      {"metadata no string", file_of(R"({"__metadata__":{"a":1}})", "")},
      {"data without a tensor", file_of("{}", eight)},
      {"tensor no object", tensor("1")},
      {"no dtype", tensor(R"({"shape":[2],"data_offsets":[0,8]})")},
      {"unknown dtype",
       tensor(R"({"dtype":"F16","shape":[4],"data_offsets":[0,8]})")},
      {"dtype no string",
       tensor(R"({"dtype":1,"shape":[4],"data_offsets":[0,8]})")},
      {"no shape", tensor(R"({"dtype":"F32","data_offsets":[0,8]})")},
      {"negative shape",
       tensor(R"({"dtype":"F32","shape":[-2],"data_offsets":[0,8]})")},
      {"fractional shape",
       tensor(R"({"dtype":"F32","shape":[2.0],"data_offsets":[0,8]})")},
      {"shape too small",
       tensor(R"({"dtype":"F32","shape":[1],"data_offsets":[0,8]})")},
      {"shape too large",
       tensor(R"({"dtype":"F32","shape":[3],"data_offsets":[0,8]})")},
      {"shape overflows",
       tensor(R"({"dtype":"F32","shape":[4611686018427387904,4],)"
              R"("data_offsets":[0,8]})")},
      {"shape overflows to what the offsets give",
       tensor(R"({"dtype":"F32","shape":[4611686018427387906],)"
              R"("data_offsets":[0,8]})")},
      {"shape beyond 64 bits",
       tensor(R"({"dtype":"F32","shape":[36893488147419103234],)"
              R"("data_offsets":[0,8]})")},
      {"nine dimensions",
       tensor(R"({"dtype":"F32","shape":[1,1,1,1,1,1,1,1,2],)"
              R"("data_offsets":[0,8]})")},
      {"no offsets", tensor(R"({"dtype":"F32","shape":[2]})")},
      {"one offset",
       tensor(R"({"dtype":"F32","shape":[2],"data_offsets":[8]})")},
      {"offsets backwards",
       tensor(R"({"dtype":"F32","shape":[2],"data_offsets":[8,0]})")},
      {"offsets beyond the data",
       tensor(R"({"dtype":"F32","shape":[4],"data_offsets":[0,16]})")},
      {"4 EiB that are not there",
       tensor(R"({"dtype":"F32","shape":[1152921504606846976],)"
              R"("data_offsets":[0,4611686018427387904]})")},
      {"a hole at the beginning",
       tensor(R"({"dtype":"F32","shape":[1],"data_offsets":[4,8]})")},
      {"overlap",
       file_of(R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},)"
               R"("b":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}})",
               eight)},
      {"the same place twice",
       file_of(R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},)"
               R"("b":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}})",
               eight)},
  };
  const TemporaryDirectory dir;
  for (const Case& c : cases) {
    INFO(c.what);
    write_text(dir / "hostile", c.file);
    const auto file = read_safetensors(dir / "hostile");
    REQUIRE_FALSE(file);
    CHECK(file.error().code == ExitCode::kCheckpoint);
    // Before it is parsed, which costs a hundred times its size.
    if (std::string_view(c.what).starts_with("deep"))
      CHECK(file.error().message.find("nested too deeply") !=
            std::string::npos);
  }
  // The same helper makes files that are read.
  write_text(dir / "good",
             tensor(R"({"dtype":"F32","shape":[2],"data_offsets":[0,8]})"));
  CHECK(read_safetensors(dir / "good"));
}

TEST_CASE("a tensor that a foreign file leaves unaligned is copied",
          "[safetensors]") {
  const TemporaryDirectory dir;
  const std::string data = "aaaabbbbbbbb";
  write_text(
      dir / "foreign",
      file_of(R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},)"
              R"("b":{"dtype":"I64","shape":[1],"data_offsets":[4,12]}} )",
              data));
  const auto file = read_safetensors(dir / "foreign");
  REQUIRE(file);
  CHECK(bytes_of(file->tensors[1].blob) == "bbbbbbbb");
  CHECK(reinterpret_cast<std::uintptr_t>(file->tensors[1].blob.bytes.data()) %
            8 ==
        0);
}

TEST_CASE("a missing file and a directory are errors", "[safetensors]") {
  const TemporaryDirectory dir;
  CHECK_FALSE(read_safetensors(dir / "nothing"));
  CHECK_FALSE(read_safetensors(dir.path()));
}

TEST_CASE("a file that cannot be written leaves nothing behind",
          "[safetensors]") {
  const TemporaryDirectory dir;
  const auto result = write_safetensors(dir / "no" / "a", examples());
  REQUIRE_FALSE(result);
  CHECK(result.error().message.find("No such file") != std::string::npos);
  // A directory in the way: the rename fails.
  std::filesystem::create_directories(dir / "taken" / "inside");
  CHECK_FALSE(write_safetensors(dir / "taken", examples()));
  CHECK(std::distance(std::filesystem::directory_iterator(dir.path()), {}) ==
        1);
}

}  // namespace
}  // namespace mdgan::test
