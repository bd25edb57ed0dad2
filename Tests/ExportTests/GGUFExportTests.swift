import Foundation
import Karat
import KaratArchitectures
import KaratBytes
import KaratCheckpoints
import KaratExport
import KaratModels
import KaratTensors
import KaratTestSupport
import KaratTokenizers
import Testing

@Suite struct GGUFExports {
  /// Writes a model of the fixtures, and gives the export that did it.
  @discardableResult
  private func export(
    _ path: String,
    as type: GGUFWeightType? = nil,
    to output: String
  ) throws -> GGUFExport {
    let export = try GGUFExport(ModelContent(try ModelFiles.open(path)), type: type)
    try export.write(to: output)
    return export
  }

  private func expectSameTensors(_ one: any TensorSource, _ other: any TensorSource) throws {
    #expect(one.manifest.names.sorted() == other.manifest.names.sorted())
    for name in one.manifest.names {
      #expect(try one.tensor(name).isIdentical(to: other.tensor(name)), "\(name)")
    }
  }

  @Test(arguments: ["llama", "qwen2", "qwen3"])
  func aGGUFOfEachFamilyComesBackTheSame(_ family: String) throws {
    try inTemporaryFolder { folder in
      let original = fixture("checkpoints/\(family).gguf")
      try export(original, to: "\(folder)/again.gguf")
      let (before, after) = try (GGUFReader(original), GGUFReader("\(folder)/again.gguf"))
      #expect(before.manifest.names.sorted() == after.manifest.names.sorted())
      let (model, again) = try (GGUFModelSource(before), GGUFModelSource(after))
      try expectSameTensors(again, model)
      #expect(again.config == model.config)
      for (key, value) in before.metadata.members where key.hasPrefix("tokenizer.") {
        #expect(after.metadata[key] == value, "\(key)")
      }
      // Once more by way of a folder.
      try Conversion("\(folder)/again.gguf", dtype: nil)
        .write("\(folder)/hf", ModelWriter())
      try export("\(folder)/hf", to: "\(folder)/hf.gguf")
      try expectSameTensors(GGUFReader("\(folder)/hf.gguf"), after)
    }
  }

  @Test(arguments: ["alice", "llama-tiny", "llama3-rope-tiny", "qwen2-tiny", "qwen3-tiny"])
  func aFolderAndItsGGUFComputeTheSame(_ name: String) throws {
    try inTemporaryFolder { folder in
      try export(fixture(name), to: "\(folder)/m.gguf")
      let (before, after) = try (
        LoadedModel.open(fixture(name)), LoadedModel.open("\(folder)/m.gguf")
      )
      let tokens = (0..<40).map { Int32($0 * 7 % 320) }
      let expected = try Executor(before.model).logits(tokens)
      #expect(try Executor(after.model).logits(tokens).isIdentical(to: expected))
    }
  }

  /// Mistral is written as Llama where its window is never full, and YaRN with its own bounds.
  @Test func formsThatGGUFKnowsComputeTheSame() throws {
    try inTemporaryFolder { folder in
      var mistral = try EditedModel("mistral-tiny")
      let context = try #require(mistral.config["max_position_embeddings"])
      for (name, window) in [("none", JSONValue.null), ("whole", context)] {
        mistral.config["sliding_window"] = window
        try mistral.write(to: "\(folder)/\(name)")
      }
      try EditedModel("architectures/llama-yarn").write(to: "\(folder)/yarn")
      for name in ["none", "whole", "yarn"] {
        try export("\(folder)/\(name)", to: "\(folder)/\(name).gguf")
        let (before, after) = try (
          LoadedModel.open("\(folder)/\(name)"), LoadedModel.open("\(folder)/\(name).gguf")
        )
        let tokens = (0..<40).map { Int32($0 * 7 % 61) }
        let expected = try Executor(before.model).logits(tokens)
        #expect(try Executor(after.model).logits(tokens).isIdentical(to: expected), "\(name)")
      }
    }
  }

  @Test func formsThatGGUFDoesNotKnowAreRefused() throws {
    try inTemporaryFolder { folder in
      var absent = try EditedModel("mistral-tiny")
      absent.config["sliding_window"] = nil
      absent.config["max_position_embeddings"] = 32768
      try absent.write(to: "\(folder)/absent")
      let tail =
        "programs that read GGUF see all of this family's, so they would compute something else."
      for (path, text) in [
        (fixture("mistral-tiny"), "layers see 16 tokens ('sliding_window') of 512; \(tail)"),
        ("\(folder)/absent", "layers see 4096 tokens ('sliding_window') of 32768; \(tail)"),
        (
          fixture("architectures/llama-yarn-factor"),
          "the rotary scaling 'yarn' is written as GGUF with the method's own bounds, 32 and 1, and the amplitude that follows from the factor; this config has others."
        ),
      ] {
        let refusal = message { try export(path, to: "\(folder)/m.gguf") }
        #expect(refusal == "\(path)/config.json: \(text)")
      }
    }
  }

  @Test func matricesAreOfTheTypeThatWasAskedFor() throws {
    try inTemporaryFolder { folder in
      let model = try SafetensorsReader(fixture("llama-tiny/model.safetensors"))
      for type in GGUFWeightType.allCases {
        try export(fixture("llama-tiny"), as: type, to: "\(folder)/\(type).gguf")
        let file = try GGUFReader("\(folder)/\(type).gguf")
        for name in file.manifest.names {
          let info = try #require(file.manifest[name])
          #expect(info.dtype == (info.shape.rank > 1 ? type.dtype : .f32), "\(name)")
        }
        guard type.dtype.isQuantizedBlock else { continue }
        let weight = try model.tensor("model.layers.1.mlp.up_proj.weight")
        let expected = try #require(quantized(weight, to: type.dtype))
        #expect(try file.tensor("blk.1.ffn_up.weight").isIdentical(to: expected))
      }
      let types = try GGUFWeightType.allCases.map { type in
        try GGUFReader("\(folder)/\(type).gguf").metadata["general.file_type"]?.int
      }
      #expect(types == [0, 1, 32, 7, 2, 3])
    }
  }

  @Test func rowsThatFillNoBlocksAreWrittenAsF16() throws {
    try inTemporaryFolder { folder in
      let export = try export(fixture("alice"), as: .q8_0, to: "\(folder)/m.gguf")
      let file = try GGUFReader("\(folder)/m.gguf")
      #expect(file.manifest["blk.0.ffn_down.weight"] == TensorInfo(.f16, [128, 341]))
      #expect(file.manifest["blk.0.ffn_up.weight"] == TensorInfo(.q8_0, [341, 128]))
      #expect(
        export.notes.first
          == "Written as F16, since their rows or scales do not fit blocks:"
          + " 'model.layers.0.mlp.down_proj.weight', 'model.layers.1.mlp.down_proj.weight',"
          + " 'model.layers.2.mlp.down_proj.weight', 'model.layers.3.mlp.down_proj.weight'."
      )
      #expect(
        export.notes.last?.hasPrefix(
          "The file holds no tokenizer, since GGUF cannot say this one: "
        )
          == true
      )
      #expect(file.metadata["tokenizer.ggml.model"] == .string("none"))
    }
  }

  @Test func integerCodesAreKept() throws {
    try inTemporaryFolder { folder in
      let alice = try LoadedModel.open(fixture("alice"))
      var pipeline = Pipeline(
        Recipe(passes: [QuantizeWeights()], ignored: ["lm_head"], seed: 5)
      )
      pipeline.calibration = []
      let model = try pipeline.run(alice).model
      try ModelWriter().write(
        model,
        from: alice,
        record: ModelRecord(command: "quantize"),
        to: "\(folder)/int8"
      )
      let export = try export("\(folder)/int8", to: "\(folder)/m.gguf")
      #expect(
        export.notes.contains(
          "INT8 codes are kept in Q8_0, the scale of a row rounded to float16 in each of its blocks."
        )
      )
      let codes = try SafetensorsReader("\(folder)/int8/model.safetensors")
      let file = try GGUFReader("\(folder)/m.gguf")
      #expect(file.manifest["blk.2.ffn_down.weight"]?.dtype == .f16)
      let module: TensorName = "model.layers.2.self_attn.k_proj"
      let rows = try codes.tensor(module / "weight").elements(as: Int8.self)
      let scales = try codes.tensor(module / "weight_scale").elements(as: Float.self)
      let blocks = try file.tensor("blk.2.attn_k.weight")
      #expect(TensorInfo(blocks.dtype, blocks.shape) == TensorInfo(.q8_0, [64, 128]))
      blocks.withBytes { bytes in
        for row in 0..<64 {
          // Of a head's 32 rows, GGUF holds 0, 16, 1, 17, …
          let (head, place) = row.quotientAndRemainder(dividingBy: 32)
          let origin = head * 32 + place % 2 * 16 + place / 2
          for block in 0..<4 {
            let start = (row * 4 + block) * 34
            let scale = bytes.loadUnaligned(fromByteOffset: start, as: UInt16.self)
            #expect(scale == Float16(scales[origin]).bitPattern)
            let found = bytes[start + 2..<start + 34].map { Int8(bitPattern: $0) }
            #expect(
              found == Array(rows[origin * 128 + block * 32..<origin * 128 + block * 32 + 32])
            )
          }
        }
      }
    }
  }

  @Test func theTokenizerTravels() throws {
    try inTemporaryFolder { folder in
      var edited = try EditedModel("llama-tiny")
      let count = 49_160
      edited.config["vocab_size"] = .number(JSONNumber(count))
      edited.tensors["model.embed_tokens.weight"] = Tensor(.f16, [count, 64]) { _ in }
      let model = try edited.write(to: "\(folder)/m")
      try FileManager.default.copyItem(
        atPath: fixture("tokenizers/smollm2.json"),
        toPath: "\(model)/tokenizer.json"
      )
      try Data(
        #"{"bos_token": {"content": "<|im_start|>"}, "eos_token": "<|im_end|>", "pad_token": null}"#
          .utf8
      ).write(to: URL(filePath: "\(model)/tokenizer_config.json"))
      try Data("{{ messages }}".utf8).write(to: URL(filePath: "\(model)/chat_template.jinja"))
      let export = try export(model, to: "\(folder)/m.gguf")
      #expect(export.notes.isEmpty)
      let metadata = try GGUFReader("\(folder)/m.gguf").metadata
      #expect(metadata["tokenizer.ggml.pre"] == .string("smollm"))
      #expect(metadata["tokenizer.ggml.bos_token_id"] == .uint32(1))
      #expect(metadata["tokenizer.ggml.eos_token_id"] == .uint32(2))
      #expect(metadata["tokenizer.chat_template"] == .string("{{ messages }}"))
      #expect(metadata["tokenizer.ggml.tokens"]?.array?.strings?.count == count)
      #expect(metadata["tokenizer.ggml.tokens"]?.array?.strings?.last == "[PAD49159]")
      #expect(metadata["tokenizer.ggml.token_type"]?.array?.ints?.last == 5)
      let text = "Botchan, 1906: “I've been reckless — 坊っちゃん!”\n\n  ok"
      #expect(
        try ModelTokenizer.open("\(folder)/m.gguf").encode(text)
          == ModelTokenizer.open(model).encode(text)
      )
    }
  }

  @Test func aTokenizerOfSingleBytesHasAnEmptyListOfMerges() throws {
    try inTemporaryFolder { folder in
      var edited = try EditedModel("llama-tiny")
      edited.config["vocab_size"] = 49_152
      edited.tensors["model.embed_tokens.weight"] = Tensor(.f16, [49_152, 64]) { _ in }
      let model = try edited.write(to: "\(folder)/m")
      let bytes = try ReadableFile.contents(of: fixture("tokenizers/smollm2.json"))
      var document = try #require(try JSONValue.parse(bytes).object)
      var bytePairs = try #require(document["model"]?.object)
      bytePairs["merges"] = []
      document["model"] = .object(bytePairs)
      try Data(JSONValue.object(document).serialized(indent: nil))
        .write(to: URL(filePath: "\(model)/tokenizer.json"))
      try export(model, to: "\(folder)/m.gguf")
      let metadata = try GGUFReader("\(folder)/m.gguf").metadata
      #expect(metadata["tokenizer.ggml.merges"] == .array(.string([])))
    }
  }

  @Test func whatHasNoPlaceIsNamed() throws {
    try expectRefusal(
      "m: GGUF has no place for these tensors of LlamaForCausalLM: 'model.layers.0.mlp.gate.weight'."
    ) { $0.tensors["model.layers.0.mlp.gate.weight"] = Tensor([1]) }
    try expectRefusal(
      "m: these tensors, by GGUF's names, are not there: 'output_norm.weight', 'output.weight'."
    ) {
      $0.tensors["model.norm.weight"] = nil
      $0.config["tie_word_embeddings"] = false
    }
    try expectRefusal(
      "m/config.json: the architecture 'BertModel' is not written as GGUF. Supported:"
        + " LlamaForCausalLM, MistralForCausalLM, Qwen2ForCausalLM, Qwen3ForCausalLM."
    ) { $0.config["architectures"] = ["BertModel"] }
    try expectRefusal(
      "m, 'model.layers.1.self_attn.q_proj.weight': it holds numbers beyond the largest of F16, which"
        + " would become infinite. Use bf16 or f32.",
      as: .f16
    ) { $0.set("model.layers.1.self_attn.q_proj.weight", at: 5, to: 1e6) }
    try expectRefusal(
      "m, 'model.layers.1.self_attn.q_proj.weight': it holds NaN, infinities, or numbers too large for"
        + " the float16 scale of a Q8_0 block. Use bf16 or f32.",
      as: .q8_0
    ) { $0.set("model.layers.1.self_attn.q_proj.weight", at: 5, to: .nan) }
    try expectRefusal(
      "m, 'model.layers.0.self_attn.k_proj.weight': its shape is [32, 64]; 1 heads of 16 rows were"
        + " needed."
    ) { $0.config["num_key_value_heads"] = 1 }
  }

  /// Checks that a model that was changed is refused, and that no file is left.
  private func expectRefusal(
    _ expected: String,
    as type: GGUFWeightType? = nil,
    _ change: (inout EditedModel) -> Void
  ) throws {
    try inTemporaryFolder { folder in
      var edited = try EditedModel("llama-tiny")
      change(&edited)
      try edited.write(to: "\(folder)/m")
      let found = message(in: folder) {
        try export("\(folder)/m", as: type, to: "\(folder)/m.gguf")
      }
      #expect(found == expected)
      #expect(!FileManager.default.fileExists(atPath: "\(folder)/m.gguf"))
    }
  }

  @Test func aTokenizerCanBeRequired() throws {
    #expect(
      message(in: fixture("alice")) {
        _ = try GGUFExport(
          ModelContent(ModelFiles.open(fixture("alice"))),
          tokenizer: .required
        )
      } == "tokenizer.json, 'normalizer': GGUF has no place for one other than NFC."
    )
  }
}
