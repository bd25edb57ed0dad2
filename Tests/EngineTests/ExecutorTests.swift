import Karat
import KaratEngine
import KaratGraphs
import KaratTestSupport
import Testing

@Suite struct Running {
  /// A model with integer layers, as the passes make it.
  private func quantizedAlice() throws -> Model {
    let loaded = try LoadedModel.open(fixture("alice"))
    var calibrate = Calibrate()
    (calibrate.windows, calibrate.length) = (4, 64)
    var pipeline = Pipeline(
      Recipe(
        passes: [calibrate, QuantizeWeights(), QuantizeActivations()],
        ignored: ["lm_head"]
      )
    )
    let text = try TextFile(fixture("text/botchan-calibration.txt")).text
    pipeline.calibration = try loaded.tokenizer().encode(
      String(text.prefix(4000)),
      addSpecialTokens: false
    )
    return try pipeline.run(loaded).model
  }

  private func window() throws -> [Int32] {
    try Expected("alice/expected_heldout.safetensors").ids("heldout_ids").prefix(2).flatMap(\.self)
  }

  @Test func bitsAreTheSameForAnyNumberOfThreads() throws {
    let tokens = try window()
    for model in [try LoadedModel.open(fixture("alice")).model, try quantizedAlice()] {
      let one = try Executor(model, threads: 1).logits(tokens)
      for threads in [2, 3, 4] {
        #expect(try Executor(model, threads: threads).logits(tokens).isIdentical(to: one))
      }
    }
  }

  @Test func aSecondRunGivesTheSameBits() throws {
    let executor = Executor(try quantizedAlice())
    let tokens = try window()
    let first = try executor.logits(tokens)
    _ = try executor.logits(Array(tokens.prefix(7)))
    executor.dropConstants()
    #expect(try executor.logits(tokens).isIdentical(to: first))
  }

  @Test(arguments: ["alice", "llama-tiny", "llama3-rope-tiny"])
  func decodingWithTheCacheEqualsTheWholePrompt(_ name: String) throws {
    let ids = try Expected("\(name)/expected.safetensors").ids("input_ids")
    let executor = Executor(try LoadedModel.open(fixture(name)).model)
    var whole: [Float] = []
    try executor.run(tokens: ids, names: ["logits"]) { _, operand in
      whole = operand.copied().elements(as: Float.self)
    }
    // A prompt of five tokens at once, then token by token, then the rest at once.
    let length = ids[0].count
    let steps = [0..<5] + (5..<length - 4).map { $0..<$0 + 1 } + [length - 4..<length]
    let cache = KeyValueCache(batch: ids.count)
    let vocabulary = whole.count / (ids.count * length)
    var cached = Array(repeating: Float.nan, count: whole.count)
    for step in steps {
      try executor.run(
        tokens: ids.map { Array($0[step]) },
        start: step.lowerBound,
        cache: cache,
        names: ["logits"]
      ) { _, operand in
        for sequence in ids.indices {
          for (row, place) in step.enumerated() {
            for token in 0..<vocabulary {
              cached[(sequence * length + place) * vocabulary + token] =
                operand.floats[(sequence * step.count + row) * vocabulary + token]
            }
          }
        }
      }
    }
    #expect(relativeError(cached, whole) < 1e-4)
  }

  @Test func stagesOneAfterTheOtherGiveWhatTheWholeRunGives() throws {
    for model in [try LoadedModel.open(fixture("llama-tiny")).model, try quantizedAlice()] {
      let windows = [[1, 5, 9, 300, 2, 77], [8, 8, 8], [0, 319, 4, 5]] as [[Int32]]
      let executor = Executor(model)
      let logits = try executor.value(named: "logits")
      var staged = try StagedRun(executor, windows: windows)
      var found: [Int: Tensor] = [:]
      for stage in model.graph.stages {
        let own = stage.places.contains(logits.node) ? [logits] : []
        try staged.run(stage, wanted: own) { window, value, operand in
          #expect(value == logits)
          found[window] = operand.copied()
        }
      }
      #expect(found.count == windows.count)
      for (index, window) in windows.enumerated() {
        #expect(found[index]?.isIdentical(to: try executor.logits(window)) == true)
      }
    }
  }

  @Test func tokensOutsideTheVocabularyAreRefused() throws {
    let executor = Executor(try LoadedModel.open(fixture("llama-tiny")).model)
    for token in [320, -1, .max] as [Int32] {
      #expect(
        message { _ = try executor.logits([1, token, 2]) }
          == "token \(token) is not in the model's vocabulary of 320. Does the tokenizer belong to another model?"
      )
    }
    #expect(
      message { _ = try executor.logits([]) }
        == "there are no tokens to run; at least one is needed."
    )
    #expect(
      message { _ = try StagedRun(executor, windows: [[1, 320]]) }
        == "token 320 is not in the model's vocabulary of 320. Does the tokenizer belong to another model?"
    )
    #expect(
      message { try executor.run(tokens: [[1]], names: ["pooled"]) { _, _ in } }
        == "the model gives no value named 'pooled'; it names hidden_after_layer_0, hidden_after_layer_1, hidden_after_layer_2, input_ids, last_hidden_state, logits."
    )
  }

  @Test func aParameterThatCannotBePulledIsAnErrorAndNotTheLast() throws {
    struct Broken: TensorSource {
      let base: any TensorSource
      var manifest: Manifest { base.manifest }
      func tensor(_ name: TensorName) throws(CheckpointError) -> Tensor {
        throw CheckpointError(.inputOutput, file: "model.safetensors", tensor: name, "gone.")
      }
    }
    var model = try LoadedModel.open(fixture("llama-tiny")).model
    model.source = Broken(base: model.source)
    let executor = Executor(model)
    for _ in 0..<2 {
      #expect(
        message { _ = try executor.logits([1, 2]) }
          == "model.safetensors, 'model.embed_tokens.weight': gone."
      )
    }
  }
}
