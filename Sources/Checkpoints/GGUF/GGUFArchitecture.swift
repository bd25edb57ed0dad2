import KaratBytes
package import KaratTensors

/// How GGUF names and arranges the tensors of a family of models, beside Hugging Face's way.
///
/// A new family is an entry in `all`; what most families share is in the two tables of names.
package struct GGUFArchitecture: Sendable {
  /// The value of `general.architecture`, which also starts the keys of hyper-parameters.
  package let name: String
  /// `architectures` of config.json.
  package let className: String
  /// Names of a block's parts beyond the shared ones: GGUF's and Hugging Face's.
  var blockParts: [String: String] = [:]
  /// Whether the rows of queries and keys lie pair by pair, as llama.cpp rotates this family.
  var hasPairedRows = false
  /// What config.json says beside the shared hyper-parameters.
  var constants: JSONObject = [:]

  /// All families that are read and written.
  package static let all: [GGUFArchitecture] = [llama, mistral, qwen2, qwen3]

  private static let llama = GGUFArchitecture(
    name: "llama",
    className: "LlamaForCausalLM",
    hasPairedRows: true
  )

  /// Written as Llama, which it is where no window of tokens is ever full; read as such.
  private static let mistral = GGUFArchitecture(
    name: "llama",
    className: "MistralForCausalLM",
    hasPairedRows: true
  )

  private static let qwen2 = GGUFArchitecture(
    name: "qwen2",
    className: "Qwen2ForCausalLM",
    constants: ["use_sliding_window": false]
  )

  private static let qwen3 = GGUFArchitecture(
    name: "qwen3",
    className: "Qwen3ForCausalLM",
    blockParts: ["attn_q_norm": "self_attn.q_norm", "attn_k_norm": "self_attn.k_norm"],
    constants: ["use_sliding_window": false]
  )
}

extension GGUFArchitecture {
  /// Names of parts outside the blocks: GGUF's and Hugging Face's.
  private static let outerParts = [
    "token_embd": "model.embed_tokens", "output_norm": "model.norm", "output": "lm_head",
  ]

  /// Names of a block's parts: GGUF's and Hugging Face's.
  private static let sharedBlockParts = [
    "attn_norm": "input_layernorm",
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj",
    "ffn_norm": "post_attention_layernorm",
    "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
  ]

  /// Hugging Face's name of a tensor, or nil where the family has none of that name.
  func huggingFaceName(of name: TensorName) -> TensorName? {
    let parts = name.text.split(separator: ".", omittingEmptySubsequences: false).map(String.init)
    switch parts.count {
    case 2:
      return Self.outerParts[parts[0]].map { TensorName($0) / parts[1] }
    case 4 where parts[0] == "blk":
      guard let block = Self.number(parts[1]),
        let part = Self.sharedBlockParts[parts[2]] ?? blockParts[parts[2]]
      else { return nil }
      return TensorName("model.layers.\(block).\(part).\(parts[3])")
    default:
      return nil
    }
  }

  /// GGUF's name of a tensor under Hugging Face's, or nil where the family has none of that name.
  package func ggufName(of name: TensorName) -> TensorName? {
    let parts = name.text.split(separator: ".", omittingEmptySubsequences: false).map(String.init)
    guard let kind = parts.last, ["weight", "bias"].contains(kind) else { return nil }
    if parts.starts(with: ["model", "layers"]) {
      guard parts.count > 4, let block = Self.number(parts[2]) else { return nil }
      let part = parts[3..<parts.count - 1].joined(separator: ".")
      let pairs = Self.sharedBlockParts.merging(blockParts) { shared, _ in shared }
      return pairs.first { $0.value == part }.map { TensorName("blk.\(block).\($0.key).\(kind)") }
    }
    let part = parts.dropLast().joined(separator: ".")
    return Self.outerParts.first { $0.value == part }.map { TensorName($0.key) / kind }
  }

  /// The tensors, by GGUF's names, without which a model of so many blocks is not whole.
  package func requiredNames(blocks: Int) -> [TensorName] {
    let parts = (Array(Self.sharedBlockParts.keys) + blockParts.keys).sorted()
    return ["token_embd.weight", "output_norm.weight"]
      + (0..<blocks).flatMap { block in parts.map { TensorName("blk.\(block).\($0).weight") } }
  }

  /// How the rows of a tensor, by GGUF's name, lie pair by pair, or nil where they lie as they are.
  package func pairedRows(of name: TensorName, _ parameters: GGUFHyperparameters) -> GGUFPairedRows?
  {
    guard hasPairedRows, name.text.hasPrefix("blk.") else { return nil }
    let heads: Int
    switch name.text.split(separator: ".").dropFirst(2).first {
    case "attn_q": heads = parameters.headCount
    case "attn_k": heads = parameters.keyValueHeadCount
    default: return nil
    }
    return GGUFPairedRows(heads: heads, headSize: parameters.headSize)
  }

  /// The number of a block, where it is written as one.
  private static func number(_ text: String) -> Int? {
    Int(text).flatMap { $0 >= 0 && String($0) == text ? $0 : nil }
  }
}
