import Karat
import KaratEngine
import KaratGraphs
import KaratKernels
import KaratPasses
import KaratTensors
import KaratTestSupport
import Testing

/// Students come closer to their teachers.
@Suite struct Distillations {
  @Test func aStudentComesCloserToItsTeacher() throws {
    let teacher = try LoadedModel.open(fixture("alice"))
    var pass = Distil()
    pass.layers = teacher.config["num_hidden_layers"]?.int.map { $0 - 1 }
    let before = try distil(teacher, pass, steps: 1, rate: 1e-9)
    let after = try distil(teacher, pass, steps: 100, rate: 2e-3)
    let stored = try {
      pass.top = 32
      return try distil(teacher, pass, steps: 100, rate: 2e-3)
    }()
    #expect(after < 0.6 * before, "\(before) to \(after)")
    #expect(stored < 0.7 * before, "\(before) to \(stored)")
  }

  /// The student learns on what the teacher wrote too, as long as the windows asked for.
  @Test func aTeacherWritesWhatTheStudentLearnsOn() throws {
    let teacher = try LoadedModel.open(fixture("alice"))
    func losses(written: Int) throws -> [Double] {
      var pass = Distil()
      (pass.layers, pass.written) = (3, written)
      let archive = MemoryArchive()
      var pipeline = self.pipeline(pass, of: teacher, steps: 20, rate: 2e-3)
      // One window and a step of eight: what it wrote fills the rest of a step.
      pipeline.calibration = Array(try text(of: teacher).prefix(32))
      pipeline.archive = archive
      _ = try pipeline.run(teacher)
      let metrics = archive["1-distil"].metrics
      #expect(metrics.allSatisfy { $0.tokens == (written == 0 ? 1 : 8) * 32 })
      return metrics.map(\.loss)
    }
    let (alone, beside) = (try losses(written: 0), try losses(written: 24))
    #expect(beside[19] < 0.7 * beside[0])
    // One window is soon known by heart.
    #expect(alone[19] < beside[19])
    #expect(try losses(written: 24) == beside)
  }

  /// Vectors of a narrower encoder are compared through a matrix, one for each text.
  @Test func aNarrowerEncoderComesCloser() throws {
    let teacher = try LoadedModel.open(fixture("bert-tiny"))
    var pass = Distil()
    (pass.hidden, pass.heads, pass.states) = (32, 2, 0.5)
    let archive = MemoryArchive()
    var pipeline = self.pipeline(pass, of: teacher, steps: 30, rate: 2e-3)
    pipeline.archive = archive
    var numbers = Numbers(seed: 2)
    pipeline.calibrationSequences = (0..<12).map { _ in
      (0..<(4 + Int(numbers.next() % 9))).map { _ in Int32(numbers.next() % 300) }
    }
    let outcome = try pipeline.run(teacher)
    #expect(outcome.owner.config["hidden_size"]?.int == 32)
    let losses = archive["1-distil"].metrics.map(\.losses)
    #expect(losses[0].contains { $0.name == "vectors" })
    for index in losses[0].indices {
      #expect(losses[29][index].mean < losses[0][index].mean, "\(losses[0][index].name)")
    }
  }

  /// A state is gone on from with the model, the teacher and the passes that it was saved with alone.
  @Test func aStateOfAnotherModelIsRefused() throws {
    let teacher = try LoadedModel.open(fixture("llama-tiny"))
    var edited = try EditedModel("llama-tiny")
    edited.scale("model.norm.weight", column: 3, by: 1.5)
    var other = teacher
    other.model.source = edited.source
    var pass = Distil()
    (pass.layers, pass.training.saveEvery) = (2, 2)
    let archive = MemoryArchive()
    func refusal(_ model: LoadedModel, _ passes: [any Pass], teacher: LoadedModel? = nil) -> String?
    {
      var pipeline = self.pipeline(pass, of: model, steps: 2, rate: 1e-3)
      pipeline.recipe.passes = passes
      pipeline.archive = archive
      pipeline.teacher = teacher
      return message { _ = try pipeline.run(model) }
    }
    let first = pipeline(pass, of: teacher, steps: 2, rate: 1e-3).recipe.passes
    #expect(refusal(teacher, first) == nil)
    #expect(refusal(teacher, first) == nil)
    #expect(refusal(other, first)?.contains("its model is '") == true)
    #expect(refusal(teacher, first, teacher: other)?.contains("its teacher is 'not there'") == true)
    // The second pass behind another first one.
    #expect(refusal(teacher, first + first) == nil)
    var longer = pass
    longer.layers = 3
    (longer.training.steps, longer.training.batch, longer.training.length) = (1, 8, 32)
    archive.forget("1-distil")
    #expect(refusal(teacher, [longer] + first)?.contains("its passes before it is '") == true)
  }

  /// A student ends a recipe by what it is, not by what it lost; each pass stores its own teacher.
  @Test func studentsOfStudents() throws {
    let teacher = try LoadedModel.open(fixture("alice"))
    var passes: [any Pass] = []
    for layers in [3, 2] {
      var pass = Distil()
      (pass.layers, pass.top) = (layers, 8)
      passes += pipeline(pass, of: teacher, steps: 2, rate: 1e-3).recipe.passes
    }
    var pipeline = self.pipeline(Distil(), of: teacher, steps: 2, rate: 1e-3)
    pipeline.recipe.passes = passes
    pipeline.heldOut = tokens(of: teacher, count: 512).chunks(of: 32)
    pipeline.maximumDrop = 0
    try inTemporaryFolder { folder in
      pipeline.teacherFolder = folder
      let outcome = try pipeline.run(teacher)
      #expect(outcome.isComplete && outcome.findings.count == 2)
      #expect(outcome.last?.verdict == .pass)
      #expect(outcome.owner.config["num_hidden_layers"]?.int == 2)
    }
  }

  /// Weights that no loss depends on do not decay either.
  @Test func whatNothingIsLearnedAboutStays() throws {
    let teacher = try LoadedModel.open(fixture("deepseek-v3-mtp-tiny"))
    var pass = Distil()
    pass.training.weightDecay = 1
    let outcome = try pipeline(pass, of: teacher, steps: 3, rate: 1e-2).run(teacher)
    var (changed, same) = (0, 0)
    for name in outcome.model.source.manifest.names {
      let (own, whole) = (
        try outcome.model.source.tensor(name), try teacher.model.source.tensor(name)
      )
      let isSame = own.asFloat32(on: .automatic).isIdentical(to: whole.asFloat32(on: .automatic))
      if name.text.hasPrefix("model.layers.2.") {
        same += isSame ? 1 : 0
      } else if !isSame {
        changed += 1
      }
      if name.text.hasPrefix("model.layers.2.") { #expect(isSame, "\(name)") }
    }
    #expect(changed > 10 && same > 10)
    // Without a loss on predictions, the head is not run, and the metrics say the whole.
    (pass.teacher, pass.states) = (0, 1)
    pass.layers = 1
    let archive = MemoryArchive()
    var states = pipeline(pass, of: teacher, steps: 3, rate: 1e-3)
    states.archive = archive
    _ = try states.run(teacher)
    let last = try #require(archive["1-distil"].metrics.last)
    #expect(last.losses.map(\.name) == ["states_0"] && last.loss > 0)
    #expect(last.json()["loss"]?.double == last.loss)
  }

  @Test func anEncoderWritesNothing() throws {
    let teacher = try LoadedModel.open(fixture("bert-tiny"))
    var pass = Distil()
    pass.written = 4
    #expect(
      message { _ = try pipeline(pass, of: teacher, steps: 1, rate: 1e-3).run(teacher) }
        == "distil: written is 4, and the teacher is an encoder, which writes no text. Leave it out."
    )
  }

  /// Merging takes nothing where all experts stay.
  @Test func mergingAsksHowManyStay() throws {
    let teacher = try LoadedModel.open(fixture("qwen3-moe-tiny"))
    var pass = Distil()
    pass.merge = true
    #expect(
      message { _ = try pipeline(pass, of: teacher, steps: 1, rate: 1e-3).run(teacher) }
        == "distil: merge is true, and all experts stay. Say how many: experts, dense, or student for a config."
    )
    // With a size the pass merges, trains, and gives an ordinary student.
    pass.experts = 4
    let outcome = try pipeline(pass, of: teacher, steps: 2, rate: 1e-3).run(teacher)
    #expect(outcome.owner.config["num_local_experts"]?.int == 4)
    #expect(outcome.students.first?.merged[0]?.flatMap(\.self).count ?? 0 > 4)
  }

  /// The student writes part of what it learns from, and goes on the same after an interruption.
  @Test func aStudentWritesWhatItLearnsOn() throws {
    let teacher = try LoadedModel.open(fixture("alice"))
    var pass = Distil()
    (pass.layers, pass.onPolicy, pass.training.saveEvery) = (3, 0.5, 5)
    func train(_ archive: MemoryArchive, steps: Int) throws -> Model {
      var pipeline = self.pipeline(pass, of: teacher, steps: steps, rate: 2e-3)
      pipeline.calibration = Array(try text(of: teacher).prefix(1_024))
      pipeline.archive = archive
      return try pipeline.run(teacher).model
    }
    let archive = MemoryArchive()
    let whole = try train(archive, steps: 20)
    let losses = archive["1-distil"].metrics.map(\.loss)
    // What is written differs from step to step, and the loss with it.
    let (first, last) = (losses.prefix(4).reduce(0, +), losses.suffix(4).reduce(0, +))
    #expect(last < 0.8 * first, "\(losses)")
    // Without its own text it learns something else.
    let given = MemoryArchive()
    pass.onPolicy = 0
    _ = try train(given, steps: 2)
    #expect(given["1-distil"].metrics[0].loss != archive["1-distil"].metrics[0].loss)
    pass.onPolicy = 0.5
    let half = MemoryArchive()
    for (step, state) in archive["1-distil"].states where step == 15 {
      try half["1-distil"].save(state, step: step, keeping: 1)
    }
    let resumed = try train(half, steps: 20)
    #expect(half["1-distil"].metrics.count == 5)
    for name in whole.source.manifest.names {
      #expect(try whole.source.tensor(name).isIdentical(to: resumed.source.tensor(name)))
    }
  }

  @Test func whoWritesItsOwnTextHasNoLabels() throws {
    let teacher = try LoadedModel.open(fixture("llama-tiny"))
    var pass = Distil()
    (pass.onPolicy, pass.text) = (0.5, 1)
    #expect(
      message { _ = try pipeline(pass, of: teacher, steps: 1, rate: 1e-3).run(teacher) }
        == "distil: on-policy is 0.5: a decoder that writes its own text learns from a teacher that reads "
        + "it. Leave out top and text, whose teacher and labels are the text's."
    )
  }

  @Test func statesOfANarrowerStudentAreProjected() throws {
    let teacher = try LoadedModel.open(fixture("llama-tiny"))
    var pass = Distil()
    (pass.hidden, pass.states, pass.relations) = (32, 1, 1)
    let archive = MemoryArchive()
    var pipeline = self.pipeline(pass, of: teacher, steps: 20, rate: 3e-3)
    pipeline.archive = archive
    let outcome = try pipeline.run(teacher)
    #expect(outcome.owner.config["hidden_size"]?.int == 32)
    let losses = archive["1-distil"].metrics.map(\.losses)
    for index in losses[0].indices {
      #expect(losses[19][index].mean < losses[0][index].mean, "\(losses[0][index].name)")
    }
    #expect(outcome.model.source.manifest.names.allSatisfy { !$0.text.hasPrefix("projection") })
  }

  /// Layers that predict further tokens stand behind the last whose states are compared.
  @Test func statesEndWithTheDecoder() throws {
    let teacher = try LoadedModel.open(fixture("deepseek-v3-mtp-tiny"))
    var pass = Distil()
    (pass.layers, pass.states) = (1, 1)
    let archive = MemoryArchive()
    var pipeline = self.pipeline(pass, of: teacher, steps: 20, rate: 3e-3)
    pipeline.archive = archive
    _ = try pipeline.run(teacher)
    let losses = archive["1-distil"].metrics.map(\.losses)
    let names = losses[0].map(\.name)
    #expect(names.contains("states_0") && !names.contains("states_1"))
    for index in losses[0].indices {
      #expect(losses[19][index].mean < losses[0][index].mean, "\(names[index])")
    }
  }

  @Test func anEncodersStudentComesCloser() throws {
    let teacher = try LoadedModel.open(fixture("bert-tiny"))
    var pass = Distil()
    pass.keepLayers = [0, 2]
    let archive = MemoryArchive()
    var pipeline = self.pipeline(pass, of: teacher, steps: 30, rate: 2e-3)
    pipeline.archive = archive
    var numbers = Numbers(seed: 2)
    pipeline.calibrationSequences = (0..<12).map { _ in
      (0..<(4 + Int(numbers.next() % 9))).map { _ in Int32(numbers.next() % 300) }
    }
    _ = try pipeline.run(teacher)
    #expect(archive["1-distil"].metrics[29].loss < 0.5 * archive["1-distil"].metrics[0].loss)
  }

  /// Experts of random weights are uneven; both ways of balancing make them less so.
  @Test(arguments: [(0.5, 0.0), (0.0, 0.02)])
  func expertsAreBalanced(_ balance: Double, _ biasRate: Double) throws {
    let teacher = try LoadedModel.open(fixture("deepseek-v3-tiny"))
    var pass = Distil()
    (pass.balance, pass.biasRate) = (balance, biasRate)
    pass.keepLayers = [0, 1]
    let before = try variation(try pipeline(pass, of: teacher, steps: 1, rate: 1e-9).run(teacher))
    let after = try variation(try pipeline(pass, of: teacher, steps: 30, rate: 1e-3).run(teacher))
    #expect(after < 0.8 * before, "\(before) to \(after)")
  }

  // MARK: Support

  private func variation(_ outcome: Pipeline.Outcome) throws -> Double {
    let executor = Executor(outcome.model)
    let router = try #require(outcome.model.graph.routers.first)
    var statistics = RouterStatistics(router: router.path, experts: router.experts)
    for window in tokens(of: outcome.owner, count: 512).chunks(of: 32) {
      try executor.run(
        given: try executor.given(TokenBatch([window])),
        binding: Binding(batch: 1, length: window.count),
        wanted: [router.choices]
      ) { statistics.add($1) }
    }
    return statistics.variation
  }

  private func pipeline(
    _ pass: Distil,
    of model: LoadedModel,
    steps: Int,
    rate: Double
  ) -> Pipeline {
    var pass = pass
    (pass.training.steps, pass.training.batch, pass.training.length) = (steps, 8, 32)
    pass.training.learningRate = rate
    var pipeline = Pipeline(Recipe(passes: [pass], seed: 3))
    pipeline.calibration = tokens(of: model, count: 1_024)
    return pipeline
  }

  private func distil(
    _ teacher: LoadedModel,
    _ pass: Distil,
    steps: Int,
    rate: Double
  ) throws -> Double {
    var pipeline = pipeline(pass, of: teacher, steps: steps, rate: rate)
    let text = try text(of: teacher)
    pipeline.calibration = Array(text.prefix(8_192))
    pipeline.heldOut = Array(text.dropFirst(8_192).prefix(2_048)).chunks(of: 64)
    pipeline.maximumDrop = .infinity
    var divergence = Double.infinity
    try inTemporaryFolder { folder in
      pipeline.teacherFolder = folder
      let findings = try pipeline.run(teacher).last as? Findings
      divergence = try #require(findings).divergence.mean
    }
    return divergence
  }
}
