import KaratBytes
import KaratTensors

extension GGUFModelSource {
  /// Writes the hyper-parameters as Hugging Face's config.json does.
  static func config(
    of file: GGUFReader,
    _ architecture: GGUFArchitecture,
    _ parameters: GGUFHyperparameters
  ) throws(CheckpointError) -> JSONValue {
    guard let embedding = file.manifest["token_embd.weight"], embedding.shape.rank == 2 else {
      throw CheckpointError(
        .missing,
        file: file.path,
        tensor: "token_embd.weight",
        "there is no matrix of this name, which holds the embedding of every token."
      )
    }
    var config: JSONObject = [
      "architectures": [.string(architecture.className)],
      "model_type": .string(architecture.name),
      "torch_dtype": "float32",
      "hidden_act": "silu",
    ]
    func set(_ key: String, _ value: Int) { config[key] = .number(JSONNumber(value)) }
    set("hidden_size", parameters.hiddenSize)
    set("intermediate_size", parameters.intermediateSize)
    set("num_hidden_layers", parameters.blockCount)
    set("num_attention_heads", parameters.headCount)
    set("num_key_value_heads", parameters.keyValueHeadCount)
    set("head_dim", parameters.headSize)
    set("vocab_size", embedding.shape[0])
    set("max_position_embeddings", parameters.contextLength)
    config["rms_norm_eps"] = JSONNumber(parameters.normEpsilon).map(JSONValue.number)
    config["rope_theta"] = JSONNumber(parameters.ropeBase).map(JSONValue.number)
    config["rope_scaling"] = try ropeScaling(of: file, architecture, parameters)
    config["attention_bias"] = .bool(file.manifest["blk.0.attn_q.bias"] != nil)
    config["mlp_bias"] = .bool(file.manifest["blk.0.ffn_up.bias"] != nil)
    config["tie_word_embeddings"] = .bool(file.manifest["output.weight"] == nil)
    for (key, source) in [
      ("bos_token_id", "bos"), ("eos_token_id", "eos"), ("pad_token_id", "padding"),
    ] {
      config[key] =
        file.metadata["tokenizer.ggml.\(source)_token_id"]?.int
        .map { .number(JSONNumber($0)) } ?? .null
    }
    for (key, value) in architecture.constants.members { config[key] = value }
    return .object(config)
  }

  private static func ropeScaling(
    of file: GGUFReader,
    _ architecture: GGUFArchitecture,
    _ parameters: GGUFHyperparameters
  ) throws(CheckpointError) -> JSONValue {
    if file.manifest[GGUFLlama3Rotation.tensorName] != nil {
      return try llama3Scaling(of: file, architecture, parameters)
    }
    let prefix = "\(architecture.name).rope.scaling"
    let type = file.metadata["\(prefix).type"]?.string ?? "none"
    let factor = file.metadata["\(prefix).factor"]?.double.map(Float.init) ?? 1
    guard type != "none", factor != 1 else { return .null }
    if type == "yarn" { return try yarnScaling(of: file, prefix) }
    guard type == "linear", factor.isFinite, factor > 0, let number = JSONNumber(factor) else {
      throw CheckpointError(
        .unsupported,
        file: file.path,
        "'\(prefix).type' is \(TensorName(type).quoted) with factor \(factor); none, and linear and"
          + " yarn with a positive factor, are read."
      )
    }
    return ["rope_type": "linear", "factor": .number(number)]
  }

  /// YaRN with its own bounds; files that carry others are refused.
  private static func yarnScaling(
    of file: GGUFReader,
    _ prefix: String
  ) throws(CheckpointError) -> JSONValue {
    let own: [(String, Double)] = [
      ("attn_factor", 1), ("yarn_attn_factor", 1), ("yarn_ext_factor", 1), ("yarn_beta_fast", 32),
      ("yarn_beta_slow", 1), ("yarn_log_multiplier", 0),
    ]
    for (key, value) in own {
      guard let found = file.metadata["\(prefix).\(key)"], found.double != value else { continue }
      throw CheckpointError(
        .unsupported,
        file: file.path,
        "'\(prefix).\(key)' is \(found.summary); YaRN is read with its own \(value)."
      )
    }
    guard let factor = file.metadata["\(prefix).factor"]?.double, factor.isFinite, factor > 0,
      let number = JSONNumber(Float(factor)),
      let length = file.metadata["\(prefix).original_context_length"]?.int, length > 0
    else {
      throw CheckpointError(
        .malformed,
        file: file.path,
        "'\(prefix).factor' and '\(prefix).original_context_length' do not both hold positive numbers,"
          + " which YaRN needs."
      )
    }
    return [
      "rope_type": "yarn", "factor": .number(number),
      "original_max_position_embeddings": .number(JSONNumber(length)),
    ]
  }

  /// Finds the hyper-parameters of Llama 3's rotation that give a file's `rope_freqs.weight`.
  ///
  /// The tensor does not say them, and the metadata need not: models were trained on 8192 tokens with
  /// the bounds 1 and 4 unless they tell otherwise. With these the largest divisor must give every
  /// value; else the file is refused, rather than rotated wrongly.
  private static func llama3Scaling(
    of file: GGUFReader,
    _ architecture: GGUFArchitecture,
    _ parameters: GGUFHyperparameters
  ) throws(CheckpointError) -> JSONValue {
    let name = GGUFLlama3Rotation.tensorName
    let tensor = try file.tensor(name)
    guard tensor.dtype == .f32, tensor.shape == [parameters.headSize / 2] else {
      throw CheckpointError(
        .malformed,
        file: file.path,
        tensor: name,
        "it is \(tensor.dtype.rawValue) of shape \(tensor.shape); F32 of shape"
          + " [\(parameters.headSize / 2)] was needed."
      )
    }
    let divisors = tensor.elements(as: Float.self)
    let factor = divisors.max() ?? 1
    guard factor != 1 || divisors.contains(where: { $0 != 1 }) else { return .null }
    let rotation = GGUFLlama3Rotation(
      factor: Double(factor),
      metadata: file.metadata,
      architecture.name
    )
    let expected = rotation.divisors(
      base: Double(parameters.ropeBase),
      headSize: parameters.headSize
    )
    guard zip(divisors, expected).allSatisfy({ abs(Double($0) - $1) <= 1e-4 * $1 }),
      let number = JSONNumber(factor), let low = JSONNumber(rotation.lowFactor),
      let high = JSONNumber(rotation.highFactor), let length = Int(exactly: rotation.originalLength)
    else {
      throw CheckpointError(
        .unsupported,
        file: file.path,
        tensor: name,
        "its divisors are not those of Llama 3's rotation (\(rotation.bounds))."
      )
    }
    return [
      "rope_type": "llama3", "factor": .number(number), "low_freq_factor": .number(low),
      "high_freq_factor": .number(high),
      "original_max_position_embeddings": .number(JSONNumber(length)),
    ]
  }
}
