package import KaratTensors

/// What the places along one extent of a parameter are.
package enum ParameterAxis: Sendable, Hashable {
  /// Nothing that a student has less of: tokens, positions, latents, elements of a head.
  case whole
  /// Channels of the residual stream.
  case hidden
  /// Channels of the residual stream twice, one after the other.
  case hiddenTwice
  /// Elements of query heads, head by head.
  case queryHeads
  /// Elements of heads of keys and values, head by head.
  case keyValueHeads
  /// Neurons of a feed-forward layer.
  case neurons
  /// Experts.
  case experts
}

extension ParameterPlace {
  /// What the parameter's extents are, outermost first, or nil where the name is not known.
  package var axes: [ParameterAxis]? {
    let parts = name.text.split(separator: ".")
    guard let kind = parts.last, parts.count >= 2 else { return nil }
    if kind == "e_score_correction_bias" { return [.experts] }
    guard let axes = weightAxes(parts.dropLast()) else { return nil }
    // A bias has one number for each row.
    return kind == "weight" ? axes : kind == "bias" ? Array(axes.prefix(1)) : nil
  }

  private func weightAxes(_ modules: ArraySlice<Substring>) -> [ParameterAxis]? {
    let above = modules.dropLast().last ?? ""
    switch modules.last ?? "" {
    case "q_norm", "k_norm", "q_a_layernorm", "kv_a_layernorm": return [.whole]
    case "norm", "input_layernorm", "post_attention_layernorm", "enorm", "hnorm", "LayerNorm":
      return [.hidden]
    case "embed_tokens", "lm_head", "head", "word_embeddings", "position_embeddings",
      "token_type_embeddings":
      return [.whole, .hidden]
    case "q_proj", "query": return [.queryHeads, .hidden]
    case "k_proj", "v_proj": return [.keyValueHeads, .hidden]
    // An encoder has as many heads of keys and values as of queries.
    case "key", "value": return [.queryHeads, .hidden]
    case "q_b_proj", "kv_b_proj": return [.queryHeads, .whole]
    case "q_a_proj", "kv_a_proj_with_mqa": return [.whole, .hidden]
    case "o_proj": return [.hidden, .queryHeads]
    case "gate_proj", "up_proj", "w1", "w3": return [.neurons, .hidden]
    case "down_proj", "w2": return [.hidden, .neurons]
    case "gate": return [.experts, .hidden]
    case "eh_proj": return [.hidden, .hiddenTwice]
    case "dense" where above == "intermediate": return [.neurons, .hidden]
    case "dense" where above == "pooler": return [.hidden, .hidden]
    case "dense" where above == "output":
      return modules.dropLast(2).last == "attention"
        ? [.hidden, .queryHeads] : [.hidden, .neurons]
    default: return nil
    }
  }

  /// The module of the linear layer that reads the neurons that the parameter makes or reads.
  package var neuronReader: TensorName {
    let path = path.text
    for (maker, reader) in [
      ("gate_proj", "down_proj"), ("up_proj", "down_proj"), ("w1", "w2"), ("w3", "w2"),
      ("intermediate.dense", "output.dense"),
    ] where path.hasSuffix("." + maker) {
      return TensorName(path.dropLast(maker.count) + reader)
    }
    return TensorName(path)
  }

  /// The modules that may read what the heads of this parameter's layer give.
  package var headReaders: [TensorName] {
    ["self_attn.o_proj", "attention.output.dense"].map { module in
      var place = self
      (place.module, place.expert, place.tail) = (module, nil, "")
      return place.name
    }
  }
}
