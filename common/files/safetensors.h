// The safetensors file format (github.com/huggingface/safetensors), of which
// Python's `safetensors.torch.load_file` reads what this writes: an 8-byte
// little-endian header length, a JSON header with each tensor's dtype, shape
// and place, then the data, contiguous and without a byte left over. Float32,
// int32 and int64 only.
#pragma once

#include <filesystem>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "common/base/result.h"
#include "common/files/atomic_write.h"
#include "common/tensor/blob.h"

namespace mdgan {

struct SafetensorsFile {
  std::vector<NamedBlob> tensors;  // in the file's order; they share one buffer
  std::map<std::string, std::string> metadata;
};

// atomic_write(), write_new() or write_output().
using WriteFile = Result<void>(const std::filesystem::path&,
                               std::span<const std::span<const std::byte>>);

// Fails like `write`, with kCheckpoint. In the file int64 tensors come first,
// so that every tensor is aligned; otherwise the order is the caller's.
// REQUIRES: names unique, and not "__metadata__".
Result<void> write_safetensors(
    const std::filesystem::path& path, std::span<const NamedBlob> tensors,
    const std::map<std::string, std::string>& metadata = {},
    WriteFile* write = atomic_write);

// The bytes of what write_safetensors() writes, uint8 [m].
Blob safetensors_file(std::span<const NamedBlob> tensors,
                      const std::map<std::string, std::string>& metadata = {});

// As read_safetensors(), of the bytes of such a file; `what` names them in
// errors.
Result<SafetensorsFile> parse_safetensors(std::span<const std::byte> bytes,
                                          const std::string& what);

// Fails with kCheckpoint, naming the file and what is wrong with it. Trusts
// nothing: allocates the header (at most 1 MiB) and, once that is found to
// agree with the file's size, the data. Never throws.
Result<SafetensorsFile> read_safetensors(const std::filesystem::path& path);

}  // namespace mdgan
