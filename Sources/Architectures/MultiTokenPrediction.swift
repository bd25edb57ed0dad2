import KaratBytes
import KaratGraphs
import KaratTensors

/// Layers behind a decoder's last, each of which predicts one token further on (DeepSeek-AI, 2024:
/// DeepSeek-V3, section 2.2; see docs/decisions/0011-multi-token-prediction.md).
///
/// At every token, the state of the module before (the decoder's, behind its last norm) and the
/// embedding of a later token, both normalized, become one state, which runs through a block of the
/// decoder's kind and a head. Module 1 reads the next token and predicts the one after it.
///
/// A checkpoint may lack the modules, and what they share with the decoder: embedding and head.
struct MultiTokenPrediction {
  private let config: Config
  private let decoder: Decoder
  /// How many modules the checkpoint holds.
  private let depth: Int

  /// Looks which of the config's `num_nextn_predict_layers` modules the checkpoint holds.
  ///
  /// Of a module with any tensor all are asked for, and of the modules before it.
  init(_ config: Config, in decoder: Decoder) throws(ConfigError) {
    // Absent, it is one, as in transformers.
    let key = "num_nextn_predict_layers"
    let most = config.object[key] == nil ? 1 : try config.count(key)
    guard most <= Config.mostLayers else {
      throw config.fault("'num_nextn_predict_layers' is \(most); at most \(Config.mostLayers) run.")
    }
    var depth = 0
    for name in config.tensors?.names ?? [] {
      if let layer = name.decoderLayer, decoder.layers..<decoder.layers + most ~= layer {
        depth = max(depth, layer - decoder.layers + 1)
      }
    }
    self.config = config
    self.decoder = decoder
    self.depth = depth
  }

  /// Traces the modules and names their logits: `mtp_logits`, `mtp_logits_2` and so on.
  func trace(_ trunk: Decoder.Trunk, _ block: Decoder.Block) {
    var state = trunk.state
    for module in 1...max(depth, 1) where module <= depth {
      let layer = decoder.layers + module - 1
      let w = trunk.root / "model" / "layers" / "\(layer)"
      trunk.tracer.block(layer) {
        let ids = trunk.ids.through(.laterTokens(LaterTokens(distance: module)), at: w)
        let embedded = ids.through(.embedding(Embedding()), table(trunk, w), at: w / "embed_tokens")
        let both = decoder.norm(embedded, w / "enorm").through(
          .concatenation(Concatenation()),
          decoder.norm(state, w / "hnorm"),
          at: w / "eh_proj"
        )
        let joined = linear(both, w / "eh_proj", 2 * decoder.hidden, decoder.hidden)
        state = decoder.norm(block(joined, w, layer), w / "shared_head" / "norm")
        trunk.tracer.name(
          logits(state, trunk, w / "shared_head" / "head"),
          module == 1 ? "mtp_logits" : "mtp_logits_\(module)"
        )
      }
    }
  }

  private func table(_ trunk: Decoder.Trunk, _ w: Scope) -> Value {
    let own = w / "embed_tokens"
    guard config.holds(own.path / "weight") else { return trunk.table }
    return own.parameter("weight", decoder.vocabulary, decoder.hidden)
  }

  private func logits(_ state: Value, _ trunk: Decoder.Trunk, _ own: Scope) -> Value {
    config.holds(own.path / "weight")
      ? linear(state, own, decoder.hidden, decoder.vocabulary) : trunk.head(state)
  }
}

extension TensorName {
  /// The number of the layer that a decoder's tensor belongs to, or nil where it is in none.
  fileprivate var decoderLayer: Int? {
    let prefix = "model.layers."
    guard text.hasPrefix(prefix) else { return nil }
    return Int(text.dropFirst(prefix.count).prefix { $0 != "." })
  }
}
