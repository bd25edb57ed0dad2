import KaratBytes
package import KaratGraphs

/// A feed-forward layer gated by SiLU (Shazeer, 2020): down(silu(gate(x)) · up(x)), `mlp` of most
/// decoders.
package struct GatedFeedForward {
  package let hidden: Int
  package let intermediate: Int
  package var hasBiases = false
  /// What the checkpoint calls the layers.
  package var names = Names()

  package struct Names {
    package var gate = "gate_proj"
    package var up = "up_proj"
    package var down = "down_proj"
  }

  /// Reads the size and checks the activation.
  package init(_ config: Config, in decoder: Decoder) throws(ConfigError) {
    self.init(hidden: decoder.hidden, intermediate: try config.size("intermediate_size"))
    try config.refuse("hidden_act", "hidden_activation", unless: "silu", "swish")
  }

  /// A layer of given sizes, such as an expert.
  package init(hidden: Int, intermediate: Int) {
    self.hidden = hidden
    self.intermediate = intermediate
  }

  /// Traces the feed-forward layer of a block.
  package func trace(_ x: Value, _ block: Scope, _ layer: Int) -> Value {
    trace(x, at: block / "mlp")
  }

  /// Traces the layer at a place of the checkpoint.
  package func trace(_ x: Value, at w: Scope) -> Value {
    let gate = linear(x, w / names.gate, hidden, intermediate, bias: hasBiases)
    let up = linear(x, w / names.up, hidden, intermediate, bias: hasBiases)
    let gated = gate.through(.swiglu(SwiGLU()), up, at: w)
    return linear(gated, w / names.down, intermediate, hidden, bias: hasBiases)
  }
}
