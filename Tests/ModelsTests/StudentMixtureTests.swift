import Karat
import KaratArchitectures
import KaratBytes
import KaratEngine
import KaratGraphs
import KaratTensors
import KaratTestSupport
import Testing

/// What the routers of a teacher choose for the tests' tokens.
private func measured(_ model: LoadedModel) throws -> Importance {
  try Executor(model.model, threads: 1).importance([studentTokens])
}

/// Makes a router never choose some experts, where its bias decides.
private func close(_ experts: Set<Int>, in edited: inout EditedModel) {
  for layer in 0..<4 {
    edited.edit(TensorName("model.layers.\(layer).mlp.gate.e_score_correction_bias")) { bias in
      for expert in experts { bias[expert] = -100 }
    }
  }
}

@Suite struct StudentsOfMixtures {
  @Test func expertsThatNoTokenReachesAreNotMissed() throws {
    var edited = try EditedModel("deepseek-v3-tiny")
    // One of the four experts of each group: the two best of the others decide among groups.
    close([1, 4, 11, 14], in: &edited)
    let teacher = try opened(edited, as: "deepseek-v3-tiny")
    let closed: Set<Int> = [1, 4, 11, 14]
    let routed = try measured(teacher)
    var importance = Importance()
    for layer in 1...2 {
      let router = "model.layers.\(layer).mlp.gate"
      let counts = try #require(routed.experts[router]).counts
      #expect(closed.allSatisfy { counts[$0] == 0 } && counts.reduce(0, +) == 8 * 4)
      // Few tokens: others may not be reached either, and enter the choice of groups.
      importance.experts[router] = Importance.Experts(experts: 16)
      for expert in 0..<16 {
        importance.experts[router]?.counts[expert] = 1
        importance.experts[router]?.contributions[expert] = closed.contains(expert) ? 0 : 1
      }
    }
    let student = try teacher.student(StudentShape(experts: 12), importance: importance)
    #expect(student.report.experts[1] == (0..<16).filter { !closed.contains($0) })
    #expect(try result(written(student)) == result(teacher))
    #expect(student.model.config["n_routed_experts"]?.int == 12)
    // The first twelve: others than those that are reached.
    let blind = try teacher.student(StudentShape(experts: 12))
    #expect(try result(blind.model) != result(teacher))
  }

  @Test(arguments: [("mixtral-tiny", "num_local_experts"), ("qwen3-moe-tiny", "num_local_experts")])
  func aTokenReachesAsManyExpertsAsThereAre(_ name: String, _ key: String) throws {
    let teacher = try LoadedModel.open(fixture(name))
    let student = try teacher.student(StudentShape(experts: 1))
    #expect(student.model.config[key]?.int == 1)
    #expect(student.model.config["num_experts_per_tok"]?.int == 1)
    #expect(
      student.report.notices == [
        "a token reaches 1 experts; it reached 2 of the teacher's, which the student's 1 experts cannot give it."
      ]
    )
    #expect(try result(written(student)).allSatisfy(\.isFinite))
  }

  @Test func groupsStayEven() throws {
    let teacher = try LoadedModel.open(fixture("deepseek-v3-tiny"))
    func refusal(_ experts: Int) -> String? {
      message { _ = try teacher.student(StudentShape(experts: experts)) }?
        .replacing(teacher.path + ": ", with: "")
    }
    let rest =
      "tokens choose among 'n_group' 4 equal groups of at least 2. Ask for a multiple of 4, at least 8."
    #expect(refusal(10) == "a student of 10 experts was asked for; \(rest)")
    #expect(refusal(4) == "a student of 4 experts was asked for; \(rest)")
    #expect(refusal(8) == nil)
    #expect(
      refusal(17) == "a student of 17 experts was asked for; the teacher has 16. Ask for 1 to 16."
    )
  }

  @Test(arguments: ["qwen3-moe-tiny", "mixtral-tiny", "deepseek-v3-tiny"])
  func expertsKeepTheirNeurons(_ name: String) throws {
    let teacher = try LoadedModel.open(fixture(name))
    let importance = try measured(teacher)
    let student = try teacher.student(
      StudentShape(expertFeedForward: 8),
      importance: importance
    )
    #expect(student.report.changes.contains { $0.what == "neurons of an expert" })
    #expect(try result(written(student)).allSatisfy(\.isFinite))
  }
}

@Suite struct DenseStudents {
  @Test func oneExpertIsADenseLayer() throws {
    let teacher = try LoadedModel.open(fixture("mixtral-one-expert-tiny"))
    let student = try teacher.student(
      StudentShape(dense: 24),
      importance: try measured(teacher)
    )
    let own = try written(student)
    #expect(own.architecture.names == ["MistralForCausalLM"])
    #expect(relativeError(try result(own), try result(teacher)) < 1e-6)
  }

  @Test(arguments: [
    ("qwen3-moe-tiny", "Qwen3ForCausalLM", 32), ("mixtral-tiny", "MistralForCausalLM", 128),
  ])
  func expertsThatAreAlikeAreOneLayer(_ name: String, _ sibling: String, _ size: Int) throws {
    var edited = try EditedModel(name)
    for (tensor, value) in edited.tensors where tensor.text.contains(".experts.0.") {
      for expert in 1..<8 {
        let other = TensorName(tensor.text.replacing(".experts.0.", with: ".experts.\(expert)."))
        if edited.tensors[other] != nil { edited.tensors[other] = value }
      }
    }
    let teacher = try opened(edited, as: name)
    let importance = try measured(teacher)
    // Any one of the experts, with the weight of all: weights that are normalized add up to 1.
    let student = try teacher.student(StudentShape(dense: size), importance: importance)
    let own = try written(student)
    #expect(own.architecture.names == [sibling])
    #expect(student.report.new == [])
    #expect(student.report.experts[0]?.count == 1)
    #expect(relativeError(try result(own), try result(teacher)) < 1e-5)
    // Two of them share it.
    let wider = try teacher.student(StudentShape(dense: 2 * size), importance: importance)
    #expect(relativeError(try result(written(wider)), try result(teacher)) < 1e-5)
  }

  @Test func sharedExpertsComeFirst() throws {
    let teacher = try LoadedModel.open(fixture("deepseek-v3-tiny"))
    let student = try teacher.student(
      StudentShape(dense: 96),
      importance: try measured(teacher)
    )
    let own = try written(student)
    #expect(own.config["first_k_dense_replace"]?.int == 3 + own.model.graph.predictionCount)
    let down = try own.model.source.tensor("model.layers.1.mlp.down_proj.weight")
    let shared = try teacher.model.source
      .tensor("model.layers.1.mlp.shared_experts.down_proj.weight")
    #expect(down.shape == [64, 96])
    let (rows, whole) = (down.elements(as: Float.self), shared.elements(as: Float.self))
    #expect(Array(rows[0..<24]) == Array(whole[0..<24]))
    #expect(try result(own).allSatisfy(\.isFinite))
  }

  @Test func whatMergingNeedsIsNamed() throws {
    let teacher = try LoadedModel.open(fixture("qwen3-moe-tiny"))
    func refusal(_ dense: Int, _ importance: Importance?) -> String? {
      message { _ = try teacher.student(StudentShape(dense: dense), importance: importance) }?
        .replacing(teacher.path + ": ", with: "")
    }
    #expect(
      refusal(64, nil)
        == "how layer 0 routes tokens to its experts was not measured, which merging them into a dense layer needs. Give a text to measure it on."
    )
    #expect(
      refusal(257, try measured(teacher))
        == "a dense student of 257 neurons was asked for; the experts of layer 0 have 256 together. Ask for at most that."
    )
  }
}

extension Graph {
  /// How many layers predict further tokens.
  fileprivate var predictionCount: Int {
    named.keys.count { $0.hasPrefix("mtp_logits") }
  }
}

@Suite struct StudentsLikeAConfig {
  @Test func theTeachersConfigIsTheTeacher() throws {
    for name in ["alice", "qwen3-moe-tiny", "deepseek-v3-mtp-tiny", "bert-tiny"] {
      let teacher = try LoadedModel.open(fixture(name))
      let student = try teacher.student(like: teacher.config, file: "config.json")
      #expect(student.report.new == [])
      #expect(try result(student.model) == result(teacher))
    }
  }

  @Test func smallerTensorsArePartsAndTheRestIsNew() throws {
    let teacher = try LoadedModel.open(fixture("llama-tiny"))
    var config = teacher.config
    config["num_hidden_layers"] = 2
    config["intermediate_size"] = 96
    // Heads of another size are none of the teacher's.
    config["head_dim"] = 8
    let student = try teacher.student(like: config, file: "config.json", seed: 3)
    #expect(student.report.layers == [0, 2])
    #expect(student.report.new.count == 8)
    #expect(student.report.new.contains("model.layers.1.self_attn.q_proj.weight"))
    let own = try written(student)
    #expect(try result(own).allSatisfy(\.isFinite))
    let name: TensorName = "model.layers.0.self_attn.q_proj.weight"
    let drawn = try own.model.source.tensor(name).elements(as: Float.self)
    let mean = drawn.reduce(0, +) / Float(drawn.count)
    let deviation = (drawn.reduce(0) { $0 + $1 * $1 } / Float(drawn.count)).squareRoot()
    // 2048 numbers: three standard errors of each.
    #expect(abs(mean) < 3 * 0.02 / Float(2048).squareRoot())
    #expect(abs(deviation - 0.02) < 3 * 0.02 / Float(4096).squareRoot())
    // The seed decides, whatever is pulled first, and any part can be drawn by itself.
    let again = try teacher.student(like: config, file: "config.json", seed: 3).model.model.source
    #expect(
      try again.elements(100..<200, of: name).elements(as: Float.self) == Array(drawn[100..<200])
    )
    let other = try teacher.student(like: config, file: "config.json", seed: 4).model.model.source
    #expect(try other.tensor(name).elements(as: Float.self) != drawn)
  }

  @Test func aHeadOfItsOwnBeginsAsTheEmbedding() throws {
    let teacher = try LoadedModel.open(fixture("llama-tiny"))
    var config = teacher.config
    config["num_hidden_layers"] = 2
    config["tie_word_embeddings"] = false
    let student = try teacher.student(like: config, file: "config.json")
    #expect(student.report.new == [])
    let source = student.model.model.source
    #expect(
      try source.tensor("lm_head.weight")
        .isIdentical(to: teacher.model.source.tensor("model.embed_tokens.weight"))
    )
  }

  /// A fresh student is of any family and size, and reads the teacher's tokens.
  @Test func freshStudentsTakeNothing() throws {
    let teacher = try LoadedModel.open(fixture("llama-tiny"))
    func fresh(_ name: String, _ change: (inout JSONObject) -> Void = { _ in }) throws -> Student {
      var config = try LoadedModel.open(fixture(name)).config
      change(&config)
      return try teacher.student(like: config, file: "config.json", isFresh: true, seed: 3)
    }
    let student = try fresh("qwen3-moe-tiny")
    #expect(student.model.architecture.names.contains("Qwen3MoeForCausalLM"))
    #expect(student.report.new.count == student.model.model.graph.parameters.count)
    #expect(student.report.studentParameters > student.report.teacherParameters)
    #expect(try result(written(student)).allSatisfy(\.isFinite))
    #expect(
      message { _ = try fresh("bert-tiny") }
        == "config.json: one of teacher and student is an encoder, the other a decoder. Give a config of the teacher's kind."
    )
    #expect(
      message { _ = try fresh("qwen3-tiny") { $0["vocab_size"] = 319 } }
        == "config.json: 'vocab_size' is to be 320 or more, as many tokens as the teacher reads."
    )
  }

  @Test func whatIsNoStudentIsNamed() throws {
    let teacher = try LoadedModel.open(fixture("llama-tiny"))
    func refusal(_ change: (inout JSONObject) -> Void) -> String? {
      var config = teacher.config
      change(&config)
      return message { _ = try teacher.student(like: config, file: "config.json") }?
        .replacing(teacher.path, with: "T")
    }
    #expect(
      refusal { $0["num_hidden_layers"] = 4 }
        == "config.json: the student has 168512 parameters, more than the teacher (T), which has 131520. Choose a smaller student."
    )
    #expect(
      refusal { $0["architectures"] = ["Qwen3ForCausalLM"] }
        == "config.json: the student is a Qwen3ForCausalLM, and the teacher a LlamaForCausalLM, whose tensors are other ones. Give a config of the teacher's family."
    )
    #expect(
      refusal {
        $0["vocab_size"] = 321
        $0["num_hidden_layers"] = 2
      }
        == "config.json: 'model.embed_tokens.weight' is to have 321 rows; the teacher's has 320. Give the student the teacher's sizes of vocabulary and positions."
    )
  }
}
