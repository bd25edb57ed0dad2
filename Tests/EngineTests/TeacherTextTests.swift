import Karat
import KaratEngine
import KaratGraphs
import KaratTestSupport
import Testing

/// Text written by a model whose logits after a token are a row of a table.
@Suite struct TextOfATeacher {
  private func chain(_ rows: [[Float]]) throws -> Executor {
    let size = rows.count
    let tracer = Tracer()
    let ids = tracer.input("input_ids", ValueType(.i32, [.batch, .length]))
    let table = (tracer.root / "table").parameter("weight", size, size)
    tracer.name(ids.through(.embedding(Embedding()), table, at: tracer.root), "logits")
    let source = MemorySource(["table.weight": Tensor(rows.flatMap(\.self), shape: [size, size])])
    return Executor(Model(graph: try tracer.finish(), source: source))
  }

  @Test func beginningsAreTheTextsAndTheRestTheTeachers() throws {
    let executor = try chain([[0, 5, 1], [1, 0, 2], [3, 2, 3]])
    let text = try executor.writtenText(
      from: [0, 1, 2, 2, 1, 0, 1, 1, 2],
      count: 3,
      promptLength: 2,
      length: 5,
      sampling: Sampling()
    )
    // Four beginnings are there, of which three: 0 1, 2 2, 1 0.
    #expect(
      text.sequences.map(\.tokens) == [[0, 1, 2, 0, 1], [2, 2, 0, 1, 2], [1, 0, 1, 2, 0]]
    )
    #expect(text.sequences.allSatisfy { $0.promptLength == 2 })
    #expect(text.windows(of: 4) == [[0, 1, 2, 0], [1, 2, 2, 0], [1, 2, 1, 0]])
    #expect(text.windows(of: 16) == [])
  }

  @Test func aStopTokenIsTheLast() throws {
    let executor = try chain([[0, 5, 1], [1, 0, 2], [3, 2, 3]])
    let text = try executor.writtenText(
      from: [0, 1],
      count: 9,
      promptLength: 1,
      length: 8,
      sampling: Sampling(),
      stops: [2]
    )
    #expect(text.sequences.map(\.tokens) == [[0, 1, 2], [1, 2]])
  }

  @Test func sequencesDrawApartAndAreTheSameAgain() throws {
    let executor = try chain(Array(repeating: Array(repeating: 0, count: 64), count: 64))
    func written(_ seed: UInt64) throws -> [[Int32]] {
      try executor.writtenText(
        from: [1, 1, 1, 1],
        count: 4,
        promptLength: 1,
        length: 17,
        sampling: Sampling(temperature: 1, seed: seed)
      ).sequences.map(\.tokens)
    }
    let first = try written(7)
    #expect(Set(first).count == 4)
    #expect(try written(7) == first)
    #expect(try written(8) != first)
  }

  @Test func whatCannotBeWrittenIsNamed() throws {
    let executor = try chain([[0, 1], [1, 0]])
    func refusal(_ text: [Int32], _ prompt: Int, _ length: Int) -> String? {
      message {
        _ = try executor.writtenText(
          from: text,
          count: 1,
          promptLength: prompt,
          length: length,
          sampling: Sampling()
        )
      }
    }
    #expect(
      refusal([0], 2, 4)
        == "the text has 1 tokens; one beginning needs 2. Give more text, or ask for shorter beginnings."
    )
    #expect(
      refusal([0, 1], 2, 2)
        == "sequences of 2 tokens that begin with 2 were asked for; a beginning needs at least one, and the sequence one more."
    )
  }
}
