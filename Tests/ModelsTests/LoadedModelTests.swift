import Foundation
import Karat
import KaratBytes
import KaratTensors
import KaratTestSupport
import Testing

@Suite struct LoadedModels {
  @Test func aFolderAndTheFileInItAreOneModel() throws {
    let folder = try LoadedModel.open(fixture("alice"))
    let file = try LoadedModel.open(fixture("alice/model.safetensors"))
    #expect(folder.model.graph == file.model.graph)
    #expect(folder.maximumLength == 128)
    #expect(folder.stopTokens == [3])
    #expect(folder.byteCount == file.byteCount)
    #expect(
      try folder.tokenizer().encode("Alice", addSpecialTokens: false)
        == file.tokenizer().encode("Alice", addSpecialTokens: false)
    )
  }

  @Test func whatIsMissingIsNamed() throws {
    try inTemporaryFolder { folder in
      let model = try EditedModel("llama-tiny").write(to: folder + "/m")
      #expect(
        message(in: folder) { _ = try LoadedModel.open(model).tokenizer() }
          == "m: tokenizer.json is not there, so text cannot become tokens. Put the model's tokenizer.json beside its weights."
      )
      try FileManager.default.removeItem(atPath: model + "/config.json")
      #expect(
        message(in: folder) { _ = try LoadedModel.open(model) }
          == "m/config.json: the config that says how the tensors are put together is not there. Put the model's config.json beside the checkpoint."
      )
      try Data("[1]".utf8).write(to: URL(filePath: model + "/config.json"))
      #expect(
        message(in: folder) { _ = try LoadedModel.open(model) }
          == "m/config.json: the root is an array; an object is needed."
      )
      try FileManager.default.removeItem(atPath: model + "/model.safetensors")
      #expect(
        message(in: folder) { _ = try LoadedModel.open(model) }
          == "m: this folder holds no file that ends in .gguf, .kcf, .safetensors, .bin, .pt or .pth."
      )
    }
  }

  @Test func stopTokensOfBothConfigsCount() throws {
    try inTemporaryFolder { folder in
      var edited = try EditedModel("llama-tiny")
      edited.config["eos_token_id"] = [2, 7]
      let model = try edited.write(to: folder + "/m")
      try Data(#"{"eos_token_id": 9}"#.utf8)
        .write(to: URL(filePath: model + "/generation_config.json"))
      #expect(try LoadedModel.open(model).stopTokens == [2, 7, 9])
    }
  }
}

@Suite struct QuantizedFolders {
  /// alice with integer layers, and the folder that holds her.
  private func quantized(in folder: String) throws -> (LoadedModel, Model, String) {
    let alice = try LoadedModel.open(fixture("alice"))
    var calibrate = Calibrate()
    (calibrate.windows, calibrate.length) = (4, 64)
    let recipe = Recipe(
      passes: [calibrate, QuantizeWeights(), QuantizeActivations()],
      ignored: ["lm_head"],
      seed: 5
    )
    var pipeline = Pipeline(recipe)
    let text = try TextFile(fixture("text/botchan-calibration.txt")).text
    pipeline.calibration = try alice.tokenizer().encode(
      String(text.prefix(3000)),
      addSpecialTokens: false
    )
    let model = try pipeline.run(alice).model
    var record = ModelRecord(command: "quantize", recipe: recipe.json)
    record.verification = [["verdict": "pass"]]
    try ModelWriter().write(model, from: alice, record: record, to: folder + "/int8")
    return (alice, model, folder + "/int8")
  }

  private func logits(_ model: Model) throws -> Tensor {
    try Executor(model).logits((0..<100).map { $0 * 7 % 1024 })
  }

  /// BERT as it came from TensorFlow, with `gamma` and `beta` for the weight and bias of a LayerNorm.
  @Test func formerNamesOfNormsAreKnown() throws {
    try inTemporaryFolder { folder in
      var edited = try EditedModel("bert-tiny")
      for (name, tensor) in edited.tensors where name.text.contains(".LayerNorm.") {
        edited.tensors[name] = nil
        let isWeight = name.text.hasSuffix(".weight")
        let norm = TensorName(String(name.text.dropLast(isWeight ? 7 : 5)))
        edited.tensors[norm / (isWeight ? "gamma" : "beta")] = tensor
      }
      let former = try LoadedModel.open(try edited.write(to: folder + "/former"))
      let present = try LoadedModel.open(fixture("bert-tiny"))
      func vectors(_ model: LoadedModel) throws -> [[Float]] {
        try Executor(model.model).embeddings([[2, 17, 300, 3], [9]])
      }
      #expect(try vectors(former) == vectors(present))
      // A conversion keeps the names; what passes make of the model has those of today.
      let converted = folder + "/converted"
      try Conversion(folder + "/former", dtype: nil).write(converted)
      let norm: TensorName = "embeddings.LayerNorm"
      let kept = try SafetensorsReader(converted + "/model.safetensors").manifest
      #expect(kept[norm / "gamma"] != nil && kept[norm / "weight"] == nil)
      #expect(try vectors(LoadedModel.open(converted)) == vectors(present))
      try ModelWriter().write(
        former.model,
        from: former,
        record: ModelRecord(command: "quantize"),
        to: folder + "/written"
      )
      let written = try SafetensorsReader(folder + "/written/model.safetensors").manifest
      #expect(written[norm / "gamma"] == nil && written[norm / "weight"] != nil)
      #expect(written[norm / "beta"] == nil && written[norm / "bias"] != nil)
      #expect(try vectors(LoadedModel.open(folder + "/written")) == vectors(present))
    }
  }

  @Test func whatWasWrittenGivesTheSameBits() throws {
    try inTemporaryFolder { folder in
      let (_, model, path) = try quantized(in: folder)
      let opened = try LoadedModel.open(path)
      #expect(opened.model.graph == model.graph)
      #expect(try logits(opened.model).isIdentical(to: try logits(model)))
      // The same through shards, and after a conversion of the quantized folder.
      try Conversion(path, dtype: nil).write(
        folder + "/shards",
        ModelWriter(shardSize: 200_000)
      )
      let names = try FileManager.default.contentsOfDirectory(atPath: folder + "/shards")
      #expect(names.contains("model.safetensors.index.json"))
      #expect(names.count { $0.hasSuffix(".safetensors") } > 2)
      let sharded = try LoadedModel.open(folder + "/shards")
      #expect(try logits(sharded.model).isIdentical(to: try logits(model)))
    }
  }

  @Test func tensorsAreAsCompressedTensorsWantsThem() throws {
    try inTemporaryFolder { folder in
      let (alice, _, path) = try quantized(in: folder)
      let manifest = try SafetensorsReader(path + "/model.safetensors").manifest
      #expect(manifest.metadata == ["format": "pt"])
      for layer in 0..<4 {
        for (name, rows, columns) in [
          ("self_attn.q_proj", 128, 128), ("self_attn.k_proj", 64, 128),
          ("mlp.down_proj", 128, 341),
        ] {
          let module = TensorName("model.layers.\(layer).\(name)")
          #expect(manifest[module / "weight"] == TensorInfo(.i8, [rows, columns]))
          #expect(manifest[module / "weight_scale"] == TensorInfo(.f32, [rows, 1]))
          #expect(manifest[module / "input_scale"] == TensorInfo(.f32, [1]))
          #expect(manifest[module / "input_zero_point"] == TensorInfo(.i8, [1]))
        }
      }
      #expect(manifest["model.embed_tokens.weight"]?.dtype == .f16)
      let before = try SafetensorsReader(fixture("alice/model.safetensors")).manifest
      #expect(manifest.count == before.count + 28 * 3)
      // Everything else in the config is as it was.
      var config = try #require(
        try JSONValue.parse(try ReadableFile.contents(of: path + "/config.json")).object
      )
      #expect(config["quantization_config"] != nil)
      config["quantization_config"] = nil
      #expect(config == alice.config)
    }
  }

  @Test func theRecordSaysHowTheModelCameAbout() throws {
    try inTemporaryFolder { folder in
      let (_, _, path) = try quantized(in: folder)
      let record = try JSONValue.parse(try ReadableFile.contents(of: path + "/karat.json"))
      #expect(record["karat"]?.string == ModelRecord.toolVersion)
      #expect(record["command"]?.string == "quantize")
      #expect(record["recipe"]?["seed"]?.int == 5)
      #expect(record["recipe"]?["passes"]?.array?.count == 3)
      #expect(record["verification"] == [["verdict": "pass"]])
      let inputs = try #require(record["inputs"]?.array)
      #expect(
        inputs.compactMap { $0["file"]?.string }.sorted() == ["config.json", "model.safetensors"]
      )
      let outputs = try #require(record["outputs"]?.array)
      #expect(
        outputs.compactMap { $0["file"]?.string }
          == ["LICENSE", "config.json", "model.safetensors", "tokenizer.json"]
      )
      for (entries, place) in [(inputs, fixture("alice")), (outputs, path)] {
        for entry in entries {
          let file = place + "/" + (entry["file"]?.string ?? "")
          let bytes = try ReadableFile.contents(of: file)
          #expect(entry["bytes"]?.int == bytes.count)
          #expect(entry["sha256"]?.string == "\(try SHA256Digest.file(file))")
        }
      }
      // No path of this machine is in it.
      let text = String(
        decoding: try ReadableFile.contents(of: path + "/karat.json"),
        as: UTF8.self
      )
      #expect(!text.contains(folder))
      #expect(!text.contains(fixture("")))
    }
  }

  @Test func damagedScalesAreNamed() throws {
    try inTemporaryFolder { folder in
      let (_, _, path) = try quantized(in: folder)
      let source = try SafetensorsReader(path + "/model.safetensors")
      let scale: TensorName = "model.layers.2.mlp.up_proj.input_scale"
      func refusal(_ name: TensorName, _ tensor: Tensor?) -> String? {
        message(in: folder) {
          let changed =
            tensor.map { source.overlaid(with: [name: DerivedTensor($0)]) }
            ?? source.overlaid(with: [:], removing: [name])
          try SafetensorsWriter(replacing: true).write(changed, to: path + "/model.safetensors")
          _ = try LoadedModel.open(path)
        }
      }
      #expect(
        refusal(scale, nil)
          == "int8, '\(scale)': quantization_config says that this layer's activations are quantized, and their range is not there."
      )
      #expect(
        refusal(scale, Tensor([0.1, 0.2]))
          == "int8, '\(scale)': it is F32 [2]; one number is needed, floating-point for a scale and I8 for a zero point."
      )
      for broken in [0, -1, Float.nan, .infinity] {
        #expect(
          refusal(scale, Tensor([broken]))
            == "int8, '\(scale)': the scale is \(broken); a positive number is needed."
        )
      }
      let zero: TensorName = "model.layers.2.mlp.up_proj.input_zero_point"
      #expect(
        refusal(zero, Tensor(.u8, [1], copying: [3] as [UInt8]))
          == "int8, '\(zero)': it is U8 [1]; one number is needed, floating-point for a scale and I8 for a zero point."
      )
      let weightScale: TensorName = "model.layers.2.mlp.up_proj.weight_scale"
      #expect(
        refusal(weightScale, Tensor(Array(repeating: 1, count: 341)))
          == "int8, '\(weightScale)': its shape is [341]; the config asks for [341, 1]."
      )
    }
  }
}
