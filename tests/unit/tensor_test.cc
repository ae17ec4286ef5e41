#include <torch/torch.h>

#include <cstring>
#include <functional>
#include <string_view>
#include <utility>
#include <vector>

#include "common/tensor/device.h"
#include "common/tensor/device_stream.h"
#include "common/tensor/flat_parameters.h"
#include "common/tensor/guard.h"
#include "common/tensor/precision.h"
#include "common/tensor/tensor_blob.h"
#include "common/tensor/upload_buffer.h"
#include "tests/support/catch.h"
#include "tests/support/contains.h"

namespace mdgan::test {

TEST_CASE("a tensor becomes a blob and a tensor again without a copy") {
  const auto type = GENERATE(torch::kFloat32, torch::kInt32, torch::kInt64);
  const torch::Tensor tensor = torch::arange(6).to(type).reshape({2, 3});
  const Blob blob = to_blob(tensor);
  CHECK((blob.meta.dims == std::vector<std::uint64_t>{2, 3}));
  CHECK(blob.bytes.size() == tensor.nbytes());
  CHECK(blob.bytes.data() == static_cast<const std::byte*>(tensor.data_ptr()));
  const torch::Tensor again = to_tensor(blob);
  CHECK(again.data_ptr() == tensor.data_ptr());
  CHECK(again.scalar_type() == type);
  CHECK(again.equal(tensor));
}

TEST_CASE("a blob keeps its tensor alive, and a tensor its blob") {
  torch::Tensor tensor = torch::ones({1000});
  const c10::weak_intrusive_ptr<c10::StorageImpl> storage(
      tensor.storage().getWeakStorageImpl());
  Blob blob = to_blob(tensor);
  tensor.reset();
  CHECK_FALSE(storage.expired());
  torch::Tensor again = to_tensor(blob);
  blob = {};
  CHECK_FALSE(storage.expired());
  CHECK(again.sum().item<float>() == 1000.0F);
  again.reset();
  CHECK(storage.expired());
}

TEST_CASE("bytes at an odd address are copied to an aligned tensor") {
  const std::vector<float> values{1.5F, -2.0F};
  const auto storage = std::make_shared<std::vector<std::byte>>(9);
  std::memcpy(storage->data() + 1, values.data(), 8);
  Blob blob;
  blob.meta.dims = {2};
  blob.bytes = std::span<const std::byte>(*storage).subspan(1);
  blob.owner = storage;
  const torch::Tensor tensor = to_tensor(blob);
  CHECK(reinterpret_cast<std::uintptr_t>(tensor.data_ptr()) % alignof(float) ==
        0);
  CHECK(tensor[0].item<float>() == 1.5F);
  CHECK(tensor[1].item<float>() == -2.0F);
}

TEST_CASE("a tensor that is not contiguous becomes a row-major blob") {
  const torch::Tensor transposed =
      torch::arange(6, torch::kFloat32).reshape({2, 3}).t();
  const Blob blob = to_blob(transposed);
  CHECK((blob.meta.dims == std::vector<std::uint64_t>{3, 2}));
  CHECK(to_tensor(blob).equal(transposed));
}

TEST_CASE("flat parameters are the module's own, in their order") {
  torch::nn::Sequential module(torch::nn::Linear(3, 4),
                               torch::nn::Linear(4, 2));
  const auto before = module->parameters();
  std::vector<torch::Tensor> copies;
  for (const auto& p : before) copies.push_back(p.detach().clone().flatten());
  torch::Tensor values = flatten_parameters(*module);
  CHECK(values.equal(torch::cat(copies)));
  CHECK(values.numel() == 3 * 4 + 4 + 4 * 2 + 2);

  const torch::Tensor x = torch::ones({5, 3});
  const auto loss = [&] { return module->forward(x).square().mean(); };
  const auto gradients = gradients_of(loss(), {}, module->parameters());
  loss().backward();
  for (std::size_t i = 0; i < gradients.size(); ++i)
    CHECK(gradients[i].equal(before[i].grad()));

  values.zero_();
  CHECK(loss().item<float>() == 0.0F);
}

TEST_CASE("devices are told apart by name, and mistakes explained") {
  CHECK(parse_device("cpu").ok());
  for (const char* name : {"", "tpu", "cuda:", "cuda:x", "cuda:-1", "cuda:1x",
                           "cpu:0", "cuda:99999999999"}) {
    const auto device = parse_device(name);
    REQUIRE_FALSE(device.ok());
    CHECK(device.error().code == ExitCode::kConfiguration);
    CHECK(device.error().message.find("'" + std::string(name) + "'") !=
          std::string::npos);
  }
  const auto absent = parse_device("cuda:99");
  REQUIRE_FALSE(absent.ok());
  CHECK(absent.error().code == ExitCode::kConfiguration);
}

TEST_CASE("on the CPU an upload is the memory itself, and no stream is used") {
  UploadBuffer buffer({2, 3}, torch::kInt64, torch::kCPU);
  buffer.host().fill_(7);
  CHECK(buffer.upload().data_ptr() == buffer.host().data_ptr());
  CHECK_FALSE(UploadBuffer{}.defined());
  const DeviceStream none{torch::Device(torch::kCPU)};
  const auto in_stream = none.use();
  CHECK_FALSE(in_stream.current_stream().has_value());
}

TEST_CASE("a GPU whose memory is full is no bug, and the options are named") {
  const auto full = [] {
    C10_THROW_ERROR(
        OutOfMemoryError,
        "CUDA out of memory. Tried to allocate 2.00 GiB (GPU 0). If "
        "reserved memory is >> allocated memory");
  };
  const auto cublas = [] {
    C10_THROW_ERROR(Error,
                    "CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling "
                    "`cublasCreate(handle)`\nmore lines");
  };
  const auto check = [](const Error& error, std::string_view first_words) {
    CHECK(error.code == ExitCode::kConfiguration);
    CHECK(contains(error.message, {first_words, "): lower 'batch'"}));
    CHECK_FALSE(contains(error.message, {"more lines"}));
  };
  for (const auto& [fail, words] :
       {std::pair<std::function<void()>, std::string_view>{full, "GPU 0)."},
        {cublas, "(handle)`)"}}) {
    const auto made = guarded("cannot step", ExitCode::kBug,
                              [&fail = fail]() -> Result<void> {
                                fail();
                                return {};
                              });
    REQUIRE_FALSE(made);
    CHECK(made.error().message.substr(0, 13) == "cannot step: ");
    check(made.error(), words);
    try {
      plain_exceptions(fail);
      FAIL("it threw nothing");
    } catch (const std::exception& exception) {
      check(error_of(exception), words);
    }
  }
  try {
    plain_exceptions([] { C10_THROW_ERROR(Error, "another"); });
  } catch (const std::exception& exception) {
    CHECK(error_of(exception).code == ExitCode::kBug);
    CHECK(error_of(exception).message == "another");
  }
}

TEST_CASE("a user's program that fails is no bug of ours, and says why") {
  const auto program =
      torch::jit::compile("def f(x):\n    return torch.mm(x, x)\n");
  try {
    plain_exceptions([&] {
      plain_exceptions([&] { program->run_method("f", torch::ones({2, 3})); });
    });
    FAIL("it threw nothing");
  } catch (const std::exception& exception) {
    const Error error = error_of(exception);
    INFO(error.message);
    CHECK(error.code == ExitCode::kConfiguration);
    CHECK(contains(error.message,
                   {kOwnModelFailed, "shapes cannot be multiplied"}));
    CHECK_FALSE(contains(error.message, {"Traceback"}));
  }
}

TEST_CASE("what a user's program says is its reason, or the machine's") {
  const auto failed = [](const std::string& reason) {
    const std::runtime_error error(
        "The following operation failed in the TorchScript interpreter.\n"
        "Traceback of TorchScript (most recent call last):\n"
        "  File \"model.py\", line 8, in forward\n"
        "    raise ValueError(x)\n"
        "    ~~~~~~~~~~~~~~~~~~~ <--- HERE\n"
        "    return x\n" +
        reason);
    return explained(error, ExitCode::kBug);
  };
  const Error own = failed("builtins.ValueError: one line\nanother line\n");
  CHECK(own.message ==
        std::string(kOwnModelFailed) + "builtins.ValueError: one line");
  CHECK(own.code == ExitCode::kConfiguration);
  // A supervisor starts again what the machine has ended.
  const Error machine = failed(
      "RuntimeError: CUDA error: an illegal memory access\nCompile with "
      "`TORCH_USE_CUDA_DSA`");
  CHECK(machine.message ==
        "RuntimeError: CUDA error: an illegal memory access");
  CHECK(machine.code == ExitCode::kBug);
  const Error full = failed("RuntimeError: CUDA out of memory. Tried to\nmore");
  CHECK(contains(full.message, {"the memory of the GPU is full (RuntimeError: "
                                "CUDA out of memory. Tried to)"}));
}

TEST_CASE("a precision that the device has not is refused") {
  const auto refused = set_precision(Precision::kTf32, "cpu");
  REQUIRE_FALSE(refused);
  CHECK(refused.error().code == ExitCode::kConfiguration);
  const auto absent = set_precision(Precision::kFloat32, "cuda:99");
  REQUIRE_FALSE(absent);
  CHECK(contains(absent.error().message, {"cuda"}));
  REQUIRE(set_precision(Precision::kFloat32, "cpu"));
}

TEST_CASE("the back ends' versions are told, LibTorch first") {
  const auto lines = backend_versions();
  REQUIRE(lines.size() == 4);
  CHECK(lines[0].find(TORCH_VERSION) != std::string::npos);
  CHECK(lines[3].substr(0, 5) == "BLAS:");
  set_compute_threads(1);
  CHECK(at::get_num_threads() == 1);
}

}  // namespace mdgan::test
