// What initialise() asks of a model from a TorchScript file, whose layers are
// not those of torch::nn.
#pragma once

#include <torch/torch.h>

namespace mdgan {

// How the first values of a layer's own parameters are drawn.
enum class ScriptKind {
  kAsMade,     // they are not
  kWeights,    // like a linear or convolutional layer's
  kNorm,       // like batch normalisation's
  kEmbedding,  // like an embedding's
};

class ScriptLayer : public torch::nn::Module {
 public:
  explicit ScriptLayer(ScriptKind the_kind) : kind(the_kind) {}
  const ScriptKind kind;
};

// Beside Model: what the file says of first values.
class ScriptValues {
 public:
  virtual ~ScriptValues() = default;
  // Gives all parameters and buffers the values that the file has.
  virtual void restore() = 0;
  // Whether the layers' parameters are drawn, by Model::initial_law(); else
  // training begins with the values that the file has.
  virtual bool are_drawn() const = 0;
};

}  // namespace mdgan
