import Foundation
import KaratBytes
import KaratCheckpoints
import KaratTensors
import Testing

@Suite struct GGUFTests {
  @Test func everyBlockTypeHasAFixture() throws {
    let blocks = try SafetensorsReader(fixture("arithmetic/gguf-blocks.safetensors"))
    let names = blocks.manifest.names.filter { $0.text.hasSuffix(".raw") }
    #expect(names.count == 23)
    #expect(
      Set(names.map { String($0.text.dropLast(4)) })
        == Set(DType.allCases.filter(\.isQuantizedBlock).map(\.rawValue))
    )
  }

  @Test(arguments: DType.allCases.filter(\.isQuantizedBlock))
  func decodesBlocksAsTheReferenceDoes(_ dtype: DType) throws {
    let blocks = try SafetensorsReader(fixture("arithmetic/gguf-blocks.safetensors"))
    let raw = try blocks.tensor(TensorName("\(dtype.rawValue).raw"))
    let expected = try blocks.tensor(TensorName("\(dtype.rawValue).values"))
    let packed = raw.withBytes { bytes in
      Tensor(dtype, expected.shape) { $0.copyMemory(from: bytes) }
    }
    #expect(dequantized(packed).isIdentical(to: expected))
  }

  @Test(arguments: DType.encodableBlocks)
  func encodesBlocksAsTheReferenceDoes(_ dtype: DType) throws {
    let blocks = try SafetensorsReader(fixture("arithmetic/gguf-blocks.safetensors"))
    let floats = try blocks.tensor(TensorName("\(dtype.rawValue).quantize_in"))
    let expected = try blocks.tensor(TensorName("\(dtype.rawValue).quantize_out"))
    let found = try #require(quantized(floats, to: dtype))
    #expect(
      found.withBytes { found in expected.withBytes { found.elementsEqual($0) } }
    )
  }

  @Test(arguments: DType.encodableBlocks, [Float.nan, -.infinity, .infinity, 1e9])
  func doesNotEncodeWhatABlockCannotHold(_ dtype: DType, _ element: Float) {
    var floats = [Float](repeating: 1, count: 64)
    #expect(quantized(Tensor(floats), to: dtype) != nil)
    floats[45] = element
    #expect(quantized(Tensor(floats), to: dtype) == nil)
  }

  @Test func leavesOtherTypesAsTheyAre() {
    let tensor = Tensor(.bf16, [2], copying: [0x3f80, 0x4000] as [UInt16])
    #expect(dequantized(tensor).isIdentical(to: tensor))
  }

  @Test func readsTypedMetadata() throws {
    let file = try GGUFReader(fixture("hostile/gguf/G06-arrays-ok.gguf"))
    #expect(file.metadata["k0"] == .array(.uint8([1, 2])))
    #expect(file.metadata["k1"]?.array?.ints == [-1, 2])
    #expect(file.metadata["k6"]?.array?.floats == [1, 1])
    #expect(file.metadata["k7"] == .array(.bool([true, false])))
    #expect(file.metadata["k8"]?.array?.strings == ["x", ""])
    #expect(file.metadata["k11"]?.array?.ints == [-1, -1])
    #expect(file.metadata["k12"] == .array(.float64([2, 2])))
    #expect(file.metadata["k9"] == nil)
    #expect(file.metadata.members.map(\.key).first == "k0")
  }

  @Test func reversesDimensions() throws {
    let file = try GGUFReader(fixture("checkpoints/llama.gguf"))
    #expect(file.manifest["blk.0.attn_k.weight"] == TensorInfo(.q4_1, [16, 32]))
    #expect(file.manifest["blk.0.ffn_gate.weight"] == TensorInfo(.q5_1, [64, 32]))
    #expect(file.metadata["tokenizer.ggml.tokens"]?.array?.strings?.count == 40)
  }

  @Test func presentsLlamaAsHuggingFaceDoes() throws {
    let model = try GGUFModelSource(GGUFReader(fixture("checkpoints/llama.gguf")))
    let expected = try SafetensorsReader(fixture("checkpoints/llama-as-hugging-face.safetensors"))
    try expectSameTensors(model, expected)
    #expect(
      model.config == [
        "architectures": ["LlamaForCausalLM"], "model_type": "llama", "torch_dtype": "float32",
        "hidden_act": "silu", "hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2,
        "num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 8, "vocab_size": 40,
        "max_position_embeddings": 512, "rms_norm_eps": 1e-05, "rope_theta": 500000.0,
        "rope_scaling": [
          "rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
          "original_max_position_embeddings": 8192,
        ],
        "attention_bias": false, "mlp_bias": false, "tie_word_embeddings": false,
        "bos_token_id": 1, "eos_token_id": 2, "pad_token_id": .null,
      ]
    )
  }

  @Test(arguments: [
    ("qwen2", "Qwen2ForCausalLM", "attn_q.bias", "self_attn.q_proj.bias"),
    ("qwen3", "Qwen3ForCausalLM", "attn_k_norm.weight", "self_attn.k_norm.weight"),
  ])
  func presentsQwenWithoutMovingRows(
    _ family: String,
    _ className: String,
    _ part: String,
    _ huggingFacePart: String
  ) throws {
    let file = try GGUFReader(fixture("checkpoints/\(family).gguf"))
    let model = try GGUFModelSource(file)
    #expect(model.manifest.count == file.manifest.count)
    #expect(model.config["architectures"] == [.string(className)])
    #expect(model.config["rope_scaling"] == .null)
    #expect(model.config["tie_word_embeddings"]?.bool == (family == "qwen2"))
    for (name, huggingFaceName) in [
      (part, huggingFacePart), ("attn_q.weight", "self_attn.q_proj.weight"),
      ("attn_k.weight", "self_attn.k_proj.weight"), ("ffn_up.weight", "mlp.up_proj.weight"),
    ] {
      let expected = dequantized(try file.tensor(TensorName("blk.1.\(name)")))
      let found = try model.tensor(TensorName("model.layers.1.\(huggingFaceName)"))
      #expect(found.isIdentical(to: expected))
    }
  }

  @Test func refusesARotationItCannotName() {
    let folder = fixture("checkpoints")
    #expect(
      message(in: folder) {
        _ = try GGUFModelSource(GGUFReader("\(folder)/llama-other-rotation.gguf"))
      }
        == "llama-other-rotation.gguf, 'rope_freqs.weight': its divisors are not those of Llama 3's"
        + " rotation (8192 tokens, bounds 1 and 4)."
    )
  }

  @Test func refusesModelsItCannotPresent() throws {
    let whole = try read(fixture("checkpoints/llama.gguf"))
    try inTemporaryFolder { (folder) throws in
      let path = "\(folder)/model.gguf"
      /// Replaces a text of the file by one of the same length.
      func refusal(_ text: String, _ other: String) throws -> String? {
        let place = try #require(whole.firstRange(of: Array(text.utf8)))
        #expect(text.utf8.count == other.utf8.count)
        var bytes = whole
        bytes.replaceSubrange(place, with: other.utf8)
        try write(bytes, to: path)
        return message(in: folder) { _ = try GGUFModelSource(GGUFReader(path)) }
      }
      #expect(try refusal("llama.block_count", "llama.block_count") == nil)
      #expect(
        try refusal("llama.block_count", "llama.block_cOunt")
          == "model.gguf: there is no 'llama.block_count', which the architecture needs."
      )
      #expect(
        try refusal("blk.1.attn_v", "blk.1.attn_w")
          == "model.gguf, 'blk.1.attn_w.weight': the architecture 'llama' has no tensor of this name"
          + " here."
      )
      #expect(
        try refusal("general.architecture", "general.architectUre")
          == "model.gguf: there is no 'general.architecture', which names the model."
      )
      #expect(
        try refusal(
          "attention.head_count\u{4}\0\0\0\u{4}",
          "attention.head_count\u{4}\0\0\0\u{5}"
        )
          == "model.gguf: 'llama.rope.dimension_count' is not the 6 elements of a head, and only that"
          + " is read."
      )
    }
  }
}
