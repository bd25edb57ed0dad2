import Foundation
import Karat
import KaratArchitectures
import KaratBytes
import KaratEngine
import KaratGraphs
import KaratTensors
import KaratTestSupport
import Testing

/// A model of the fixtures whose tensors were edited in memory.
func opened(_ edited: EditedModel, as name: String) throws -> LoadedModel {
  var model = try LoadedModel.open(fixture(name))
  model.model.source = edited.source
  return model
}

let studentTokens: [Int32] = [5, 9, 2, 21, 7, 11, 3, 28]

/// What a model is run for, as float32.
func result(_ model: LoadedModel) throws -> [Float] {
  let outputs = try Executor(model.model, threads: 1).outputs(of: studentTokens)
  let name: TensorName = model.isEncoder ? "sentence_embedding" : "logits"
  return try #require(outputs[name]).elements(as: Float.self)
}

/// What a student gives after it was written and opened again, which checks config and tensors.
func written(_ student: Student) throws -> LoadedModel {
  var model: LoadedModel?
  try inTemporaryFolder { folder in
    let path = folder + "/student"
    try ModelWriter().write(
      student.model.model,
      from: student.model,
      record: ModelRecord(command: "distill"),
      to: path
    )
    var loaded = try LoadedModel.open(path)
    #expect(loaded.model.graph == student.model.model.graph)
    var tensors: [TensorName: Tensor] = [:]
    for name in loaded.model.source.manifest.names {
      // Copies outlive the folder.
      let tensor = try loaded.model.source.tensor(name)
      tensors[name] = Tensor(tensor.dtype, tensor.shape) { out in
        tensor.withBytes { out.copyMemory(from: $0) }
      }
    }
    loaded.model.source = MemorySource(tensors)
    model = loaded
  }
  return try #require(model)
}

private let families = [
  "alice", "llama-tiny", "mistral-tiny", "mixtral-tiny", "qwen2-tiny", "qwen3-tiny",
  "qwen3-moe-tiny", "qwen3-moe-edge-tiny", "deepseek-v2-tiny", "deepseek-v2-groups-tiny",
  "deepseek-v3-tiny", "deepseek-v3-mtp-tiny", "bert-tiny",
]

@Suite struct StudentsByDepth {
  @Test(arguments: families)
  func keepingAllLayersIsTheTeacher(_ name: String) throws {
    let teacher = try LoadedModel.open(fixture(name))
    let student = try teacher.student(StudentShape())
    #expect(student.report.new == [])
    #expect(student.report.studentParameters == student.report.teacherParameters)
    #expect(try result(written(student)) == result(teacher))
  }

  @Test(arguments: families)
  func fewerLayersRunAsTheirTeachersLayers(_ name: String) throws {
    let teacher = try LoadedModel.open(fixture(name))
    let layers = teacher.config["num_hidden_layers"]?.int ?? 0
    let kept = [0] + (layers > 2 ? [2] : [])
    let student = try written(teacher.student(StudentShape(layers: .listed(kept))))
    #expect(student.config["num_hidden_layers"]?.int == kept.count)
    // The state behind the first layer is the teacher's own.
    func first(_ model: LoadedModel) throws -> [Float] {
      var found: [Float] = []
      try Executor(model.model, threads: 1).run(
        tokens: [studentTokens],
        names: ["hidden_after_layer_0"]
      ) {
        found = $1.copied().elements(as: Float.self)
      }
      return found
    }
    #expect(try first(student) == first(teacher))
    #expect(try result(student) != result(teacher))
    guard kept.count == 2 else { return }
    let place = ["encoder.layer.", "model.layers."].first { prefix in
      student.model.source.manifest.names.contains { $0.text.hasPrefix(prefix) }
    }
    for tensor in student.model.source.manifest.names
    where tensor.text.hasPrefix("\(place ?? "")1.") {
      let rest = tensor.text.dropFirst("\(place ?? "")1.".count)
      let origin = TensorName("\(place ?? "")2.\(rest)")
      #expect(
        try student.model.source.tensor(tensor).isIdentical(to: teacher.model.source.tensor(origin))
      )
    }
  }

  @Test func layersSpreadAsDistilBERTsDo() {
    #expect(StudentShape.spread(6, over: 12) == [0, 2, 4, 7, 9, 11])
    #expect(StudentShape.spread(1, over: 4) == [0])
    #expect(StudentShape.spread(4, over: 4) == [0, 1, 2, 3])
    #expect(StudentShape.spread(3, over: 6) == [0, 3, 5])
  }

  @Test func layersThatCostMostStay() throws {
    let teacher = try LoadedModel.open(fixture("alice"))
    var importance = Importance()
    importance.layers = [3, 0.5, 0.25, 0.5]
    let student = try teacher.student(StudentShape(layers: .important(2)), importance: importance)
    #expect(student.report.layers == [0, 1])
    #expect(
      student.report.lines == [
        "LlamaForCausalLM, 491904 parameters: 57.7% of the teacher's 852608 (LlamaForCausalLM)",
        "layers: 2 of 4, by what leaving each out costs: 0, 1",
      ]
    )
  }

  @Test func listsOfLayersAreCut() throws {
    var edited = try EditedModel("qwen3-tiny")
    edited.config["layer_types"] = ["full_attention", "sliding_attention", "full_attention"]
    edited.config["sliding_window"] = 4
    edited.config["use_sliding_window"] = true
    edited.config["max_window_layers"] = 1
    try inTemporaryFolder { folder in
      let teacher = try LoadedModel.open(try edited.write(to: folder + "/m"))
      let student = try teacher.student(StudentShape(layers: .listed([1, 2])))
      #expect(student.model.config["layer_types"] == ["sliding_attention", "full_attention"])
      #expect(student.model.config["max_window_layers"]?.int == 0)
    }

    let edge = try LoadedModel.open(fixture("qwen3-moe-edge-tiny"))
    let cut = try edge.student(StudentShape(layers: .listed([1, 2])))
    #expect(cut.model.config["mlp_only_layers"] == [0])

    let deepSeek = try LoadedModel.open(fixture("deepseek-v3-tiny"))
    let sparse = try deepSeek.student(StudentShape(layers: .listed([1, 2])))
    #expect(sparse.model.config["first_k_dense_replace"]?.int == 0)
  }

  @Test func modulesBehindTheDecoderMoveUp() throws {
    let teacher = try LoadedModel.open(fixture("deepseek-v3-mtp-tiny"))
    let student = try written(teacher.student(StudentShape(layers: .listed([1]))))
    #expect(student.model.graph.named["mtp_logits_2"] != nil)
    #expect(
      try student.model.source.tensor("model.layers.2.eh_proj.weight")
        .isIdentical(to: teacher.model.source.tensor("model.layers.3.eh_proj.weight"))
    )
  }

  @Test func whatCannotBeKeptIsNamed() throws {
    let teacher = try LoadedModel.open(fixture("alice"))
    let path = teacher.path
    func refusal(_ shape: StudentShape, of model: LoadedModel? = nil) -> String? {
      let model = model ?? teacher
      return message { _ = try model.student(shape) }?.replacing(model.path + ": ", with: "")
    }
    #expect(path == fixture("alice"))
    #expect(
      refusal(StudentShape(layers: .uniform(5)))
        == "a student of 5 layers was asked for; the teacher has 4. Ask for 1 to 4."
    )
    #expect(
      refusal(StudentShape(layers: .listed([2, 1])))
        == "layers [2, 1] are to be kept; rising numbers from 0 to 3 are needed."
    )
    #expect(
      refusal(StudentShape(layers: .important(2)))
        == "what leaving layers out costs was not measured, so the 2 that matter most are not known. Give a text to measure it on, or say which layers to keep."
    )
    #expect(
      refusal(StudentShape(heads: 3))
        == "a student of 3 heads was asked for; 2 share keys and values, and stay or go together. Ask for a multiple of 2."
    )
    #expect(
      refusal(StudentShape(feedForward: 342))
        == "a student of 342 neurons was asked for; the teacher has 341. Ask for 1 to 341."
    )
    #expect(
      refusal(StudentShape(experts: 2))
        == "a student of 2 experts was asked for; the teacher has none."
    )
    let bert = try LoadedModel.open(fixture("bert-tiny"))
    #expect(
      refusal(StudentShape(hidden: 48), of: bert)
        == "a student of 48 channels and 4 heads was asked for; this family's heads share the channels evenly, and keep their 16 elements. Ask for 64 channels with 4 heads."
    )
  }
}

@Suite struct StudentsByWidth {
  /// Importance that ranks some neurons of the first layer last.
  @Test func neuronsThatNothingReadsAreNotMissed() throws {
    var edited = try EditedModel("llama-tiny")
    var importance = Importance()
    let gone: Set<Int> = [0, 7, 64, 127]
    for layer in 0..<3 {
      let down = TensorName("model.layers.\(layer).mlp.down_proj.weight")
      for column in gone { edited.scale(down, column: column, by: 0) }
      importance.neurons["model.layers.\(layer).mlp.down_proj"] = (0..<128).map {
        gone.contains($0) ? 0 : 1
      }
    }
    let teacher = try opened(edited, as: "llama-tiny")
    let student = try teacher.student(StudentShape(feedForward: 124), importance: importance)
    #expect(student.report.changes.map(\.what) == ["neurons"])
    #expect(relativeError(try result(written(student)), try result(teacher)) < 1e-5)
    // The first instead, which are read: another model.
    let blind = try teacher.student(StudentShape(feedForward: 124))
    #expect(blind.report.changes.map(\.criterion) == ["place: the first"])
    #expect(relativeError(try result(blind.model), try result(teacher)) > 1e-3)
  }

  @Test(arguments: ["llama-tiny", "deepseek-v3-tiny", "bert-tiny"])
  func headsThatNothingReadsAreNotMissed(_ name: String) throws {
    var edited = try EditedModel(name)
    var importance = Importance()
    let isEncoder = name == "bert-tiny"
    let isLatent = name == "deepseek-v3-tiny"
    // The second group: heads 2 and 3 of Llama, head 1 of the others.
    let gone = name == "llama-tiny" ? [2, 3] : [1]
    for layer in 0..<(isLatent ? 4 : 3) {
      let reader =
        isEncoder
        ? "encoder.layer.\(layer).attention.output.dense" : "model.layers.\(layer).self_attn.o_proj"
      guard edited.tensors[TensorName(reader + ".weight")] != nil else { continue }
      for head in gone {
        for column in head * 16..<(head + 1) * 16 {
          edited.scale(TensorName(reader + ".weight"), column: column, by: 0)
        }
      }
      importance.heads[reader] = (0..<4).map { gone.contains($0) ? 0 : 1 }
    }
    let teacher = try opened(edited, as: name)
    guard !isEncoder else {
      // Its channels go with its heads.
      let student = try teacher.student(
        StudentShape(heads: 3, hidden: 48),
        importance: importance
      )
      _ = try result(written(student))
      return
    }
    let student = try teacher.student(
      StudentShape(heads: 4 - gone.count),
      importance: importance
    )
    #expect(relativeError(try result(written(student)), try result(teacher)) < 1e-5)
  }

  @Test(arguments: families.filter { $0 != "bert-tiny" })
  func fewerChannelsRun(_ name: String) throws {
    let teacher = try LoadedModel.open(fixture(name))
    let hidden = teacher.config["hidden_size"]?.int ?? 0
    var importance = Importance()
    importance.channels = (0..<hidden).map(Double.init)
    let student = try teacher.student(StudentShape(hidden: hidden / 2), importance: importance)
    #expect(student.report.new == [])
    let own = try written(student)
    #expect(try result(own).allSatisfy(\.isFinite))
    // The last half of the channels.
    let norm = try own.model.source.tensor("model.norm.weight")
    let whole = try teacher.model.source.tensor("model.norm.weight")
    #expect(norm.isIdentical(to: whole.elements(hidden / 2..<hidden)))
  }
}

@Suite struct StudentsOfEncoders {
  @Test func theirPoolingSaysHowLongVectorsAre() throws {
    try inTemporaryFolder { folder in
      let path = try EditedModel("bert-tiny").write(to: folder + "/m")
      let files = [
        "modules.json":
          #"[{"type": "sentence_transformers.models.Transformer", "path": ""}, {"type": "sentence_transformers.models.Pooling", "path": "1_Pooling"}]"#,
        "1_Pooling/config.json":
          #"{"word_embedding_dimension": 64, "pooling_mode_cls_token": true}"#,
      ]
      try FileManager.default.createDirectory(
        atPath: path + "/1_Pooling",
        withIntermediateDirectories: true
      )
      for (name, text) in files {
        try Data(text.utf8).write(to: URL(filePath: path + "/" + name))
      }
      let teacher = try LoadedModel.open(path)
      let student = try teacher.student(StudentShape(heads: 2, hidden: 32))
      try ModelWriter().write(
        student.model.model,
        from: student.model,
        record: ModelRecord(command: "distill"),
        to: folder + "/s"
      )
      let pooling = try JSONValue.parse(
        ReadableFile.contents(of: folder + "/s/1_Pooling/config.json")
      )
      #expect(pooling == ["word_embedding_dimension": 32, "pooling_mode_cls_token": true])
      let own = try LoadedModel.open(folder + "/s")
      #expect(own.model.graph == student.model.model.graph)
      #expect(try result(own).count == 32)
    }
  }
}
