import Foundation
import Karat
import KaratEngine
import KaratGraphs
import KaratTestSupport
import Testing

/// BERT encoders against what transformers computed in float32.
@Suite struct Encoders {
  private func batch(_ expected: Expected) throws -> TokenBatch {
    TokenBatch(
      ids: try expected.ids("input_ids"),
      types: try expected.ids("token_type_ids"),
      mask: try expected.ids("attention_mask")
    )
  }

  @Test(arguments: ["bert-tiny", "architectures/bert-gelu-new", "architectures/bert-prefixed"])
  func hiddenStatesAgree(_ name: String) throws {
    let expected = try Expected("\(name)/expected.safetensors")
    let executor = Executor(try LoadedModel.open(fixture(name)).model)
    let names = ["hidden_after_layer_0", "last_hidden_state", "pooler_output"]
      .filter { expected.has(TensorName($0)) }
    #expect(names.count == (name == "architectures/bert-gelu-new" ? 3 : 2))
    #expect(names.contains("pooler_output") == (executor.model.graph.named["pooler_output"] != nil))
    let batch = try batch(expected)
    let mask = batch.mask.joined()
    var shown = 0
    try executor.run(batch, names: names) { value, operand in
      shown += 1
      var found = operand.copied().elements(as: Float.self)
      var wanted = try expected.floats(TensorName(value))
      if value != "pooler_output" {
        // What stands in padding is nobody's.
        for (token, isSeen) in mask.enumerated() where isSeen == 0 {
          for index in token * operand.features..<(token + 1) * operand.features {
            (found[index], wanted[index]) = (0, 0)
          }
        }
      }
      #expect(relativeError(found, wanted) < 2e-5, "\(value)")
    }
    #expect(shown == names.count)
  }

  @Test func paddingChangesNothing() throws {
    let executor = Executor(try LoadedModel.open(fixture("bert-tiny")).model)
    let sequences: [[Int32]] = [[2, 17, 300, 5, 9, 31, 3], [2, 3], [7], [2, 40, 41, 3]]
    let together = try executor.embeddings(sequences)
    for (sequence, vector) in zip(sequences, together) {
      let alone = try executor.embeddings([sequence])[0]
      #expect(relativeError(vector, alone) < 1e-5)
    }
    #expect(Set(together).count == sequences.count)
  }

  @Test func vectorsHaveTheSameBitsForAnyBudgetAndCompany() throws {
    let model = try LoadedModel.open(fixture("bert-tiny")).model
    let sequences: [[Int32]] = (0..<90).map { index in
      (0..<[7, 31, 31, 2, 64, 7][index % 6]).map { Int32(($0 * 37 + index * 11) % 320) }
    }
    let expected = try sequences.map { try Executor(model).embeddings([$0])[0].map(\.bitPattern) }
    for bytes in [700_000, 2_000_000, 1 << 30] {
      let executor = Executor(model, threads: 2, memory: MemoryBudget(bytes: bytes))
      let found = try executor.embeddings(sequences).map { $0.map(\.bitPattern) }
      #expect(found == expected, "\(bytes)")
    }
    #expect(
      message {
        _ = try Executor(model, memory: MemoryBudget(bytes: 20_000)).embeddings(sequences)
      }?.contains("Allow more: --memory ") == true
    )
  }

  @Test func theMeanOfTheTokensIsTheTextsVector() throws {
    let executor = Executor(try LoadedModel.open(fixture("bert-tiny")).model)
    let outputs = try executor.outputs(of: [2, 17, 300, 3])
    let states = try #require(outputs["last_hidden_state"]).elements(as: Float.self)
    let vector = try #require(outputs["sentence_embedding"]).elements(as: Float.self)
    let mean = (0..<64).map { index in
      (0..<4).reduce(Float(0)) { $0 + states[$1 * 64 + index] } / 4
    }
    #expect(relativeError(vector, mean) < 1e-6)
    #expect(outputs["pooler_output"]?.shape == [1, 64])
    #expect(outputs["logits"] == nil)
  }

  @Test func whatDoesNotFitIsNamed() throws {
    let executor = Executor(try LoadedModel.open(fixture("bert-tiny")).model)
    #expect(
      message { _ = try executor.embeddings([Array(repeating: 1, count: 129)]) }
        == "the text has 129 tokens; the model has positions for 128. Give shorter texts."
    )
    #expect(
      message { _ = try executor.embeddings([[1, 320]]) }
        == "token 320 is not in the model's vocabulary of 320. Does the tokenizer belong to another model?"
    )
    #expect(
      message {
        try executor.run(
          TokenBatch(ids: [[1]], types: [[2]], mask: [[1]]),
          names: ["last_hidden_state"]
        ) { _, _ in }
      } == "'embeddings.token_type_embeddings' has 2 rows, and 2 is asked for."
    )
    #expect(
      message { _ = try executor.embeddings([[]]) }
        == "there are no tokens to run; at least one is needed."
    )
    #expect(
      message { _ = try executor.logits([1]) }?.hasPrefix("the model gives no value named 'logits'")
        == true
    )
    let decoder = Executor(try LoadedModel.open(fixture("llama-tiny")).model)
    #expect(
      message { try decoder.run(tokens: [[1, 2], [1]], names: ["logits"]) { _, _ in } }
        == "sequences of several lengths cannot run together: the model has no mask for padding."
    )
    #expect(
      message { _ = try decoder.embeddings([[1]]) }?.hasPrefix(
        "the model gives no value named 'sentence_embedding'"
      ) == true
    )
  }
}

private let models = ProcessInfo.processInfo.environment["KARAT_MODELS"]

/// all-MiniLM-L6-v2 against sentence-transformers' mean pooling and normalization in PyTorch.
@Suite(.enabled(if: models != nil, "KARAT_MODELS names no folder of models: see make models"))
struct RealModelEncoder {
  @Test(arguments: ["minilm"])
  func embeddingsAgree(_ name: String) throws {
    let model = try LoadedModel.open((models ?? ".") + "/" + name)
    let text = try String(contentsOfFile: fixture("minilm/sentences.json"), encoding: .utf8)
    let sentences = try JSONValue.parse(Array(text.utf8)).array?.compactMap(\.string) ?? []
    let tokenizer = try model.tokenizer()
    #expect(model.maximumLength == 256)
    let found = try Executor(model.model)
      .embeddings(sentences.map { tokenizer.encode($0, limit: 256) })
    let wanted = try Expected("minilm/expected.safetensors").floats("embeddings")
    #expect(found.count == 5)
    let worst = zip(found.joined(), wanted).reduce(Float(0)) { max($0, abs($1.0 - $1.1)) }
    #expect(worst < 1e-5)
  }

  /// Pairs of STS-B's development set: the correlation that the model's authors publish.
  @Test func pairsAreRankedAsPublished() throws {
    let path = (models ?? ".") + "/stsb/sts-dev.csv"
    let rows = try String(contentsOfFile: path, encoding: .utf8).split(separator: "\n")
    try inTemporaryFolder { folder in
      let pairs = rows.map { row in
        row.split(separator: "\t", omittingEmptySubsequences: false)[4...6].joined(separator: "\t")
      }
      try Data(pairs.joined(separator: "\n").utf8).write(to: URL(filePath: folder + "/p.tsv"))
      let model = try LoadedModel.open((models ?? ".") + "/minilm")
      let subject = Verifier.Subject(Executor(model.model), byteCount: model.byteCount)
      let found = try Verifier().compareEmbeddings(
        subject,
        subject,
        try model.embeddingTexts(of: folder + "/p.tsv")
      )
      #expect(found.ranking?.pairs == 1500)
      #expect(abs((found.ranking?.reference ?? 0) - 0.8672) < 1e-4)
      #expect(found.verdict == .pass)
    }
  }
}
