import Karat
import KaratArchitectures
import KaratEngine
import KaratGraphs
import KaratTensors
import KaratTestSupport
import Testing

import KaratModels

/// Students whose experts are merged by how tokens are routed to them.
@Suite struct MergedExperts {
  /// A teacher each of whose experts is one of the first few, with its neurons in another order.
  private func teacher(
    _ name: String,
    distinct: Int,
    _ change: (inout EditedModel) -> Void = { _ in }
  ) throws -> LoadedModel {
    var edited = try EditedModel(name)
    for (tensor, value) in edited.tensors {
      var place = ParameterPlace(tensor)
      guard let expert = place.expert, expert >= distinct else { continue }
      place.expert = expert % distinct
      let (rows, columns) = (value.shape[0], value.shape[1])
      let floats = try #require(edited.tensors[place.name]).asFloats()
      let isDown = tensor.text.contains("down_proj") || tensor.text.contains(".w2.")
      edited.edit(tensor) { out in
        for row in 0..<rows {
          for column in 0..<columns {
            // Every third neuron, round and round: another order for each expert.
            let from =
              isDown
              ? (row, (column * (2 * expert + 1)) % columns)
              : ((row * (2 * expert + 1)) % rows, column)
            out[row * columns + column] = floats[from.0 * columns + from.1]
          }
        }
      }
    }
    change(&edited)
    return try opened(edited, as: name)
  }

  private func merged(_ size: Int) -> StudentShape {
    var shape = StudentShape(experts: size)
    shape.mergesExperts = true
    return shape
  }

  private func importance(_ model: LoadedModel) throws -> Importance {
    try Executor(model.model, threads: 1).importance([studentTokens])
  }

  @Test(arguments: ["qwen3-moe-tiny", "mixtral-tiny"])
  func neuronsInAnotherOrderMergeIntoThemselves(_ name: String) throws {
    let teacher = try teacher(name, distinct: 1)
    var shape = StudentShape(dense: name == "mixtral-tiny" ? 128 : 32)
    shape.mergesExperts = true
    let student = try teacher.student(shape, importance: try importance(teacher))
    #expect(student.report.merged[0]?.count == 1)
    #expect((student.report.merged[0]?[0].count ?? 0) > 2)
    #expect(relativeError(try result(written(student)), try result(teacher)) < 1e-5)
    // Any four of the eight, whatever the router says.
    let sparse = try teacher.student(merged(4), importance: try importance(teacher))
    #expect(relativeError(try result(written(sparse)), try result(teacher)) < 1e-5)
  }

  @Test func expertsJoinThoseThatAreRoutedAlike() throws {
    let teacher = try teacher("qwen3-moe-tiny", distinct: 4) { edited in
      for layer in 0..<3 {
        let name = TensorName("model.layers.\(layer).mlp.gate.weight")
        let hidden = edited.tensors[name]?.shape[1] ?? 0
        edited.edit(name) { rows in
          for index in 0..<4 * hidden { rows[4 * hidden + index] = rows[index] * 0.9 }
        }
      }
    }
    var importance = try importance(teacher)
    for router in importance.experts.keys {
      // The first four lead.
      importance.experts[router]?.counts = Array(repeating: 1, count: 8)
      importance.experts[router]?.contributions = [4, 4, 4, 4, 1, 1, 1, 1]
      importance.experts[router]?.weights = [3, 1, 1, 1, 1, 1, 1, 0]
    }
    let student = try teacher.student(merged(4), importance: importance)
    #expect(student.report.merged[0] == [[0, 4], [1, 5], [2, 6], [3]])
    #expect(student.report.lines.contains("experts of layer 0: 0+4, 1+5, 2+6, 3"))
    // What was merged is the same expert twice: three parts and one.
    for tensor in ["gate_proj", "up_proj", "down_proj"] {
      let name = TensorName("model.layers.0.mlp.experts.0.\(tensor).weight")
      let own = try student.model.model.source.tensor(name).asFloats()
      let whole = try teacher.model.source.tensor(name).asFloats()
      #expect(relativeError(own, whole) < 1e-6)
    }
  }

  @Test func expertsOfAGroupStayInIt() throws {
    let teacher = try LoadedModel.open(fixture("deepseek-v3-tiny"))
    let student = try teacher.student(merged(8), importance: try importance(teacher))
    let groups = try #require(student.report.merged[1])
    #expect(groups.count == 8 && groups.contains { $0.count > 1 })
    #expect(groups.allSatisfy { Set($0.map { $0 / 4 }).count == 1 })
    #expect(try result(written(student)).allSatisfy(\.isFinite))
  }

  @Test func mergingNeedsAMeasurement() throws {
    let teacher = try LoadedModel.open(fixture("qwen3-moe-tiny"))
    var importance = try importance(teacher)
    func refusal(_ importance: Importance?) -> String? {
      message { _ = try teacher.student(merged(4), importance: importance) }?
        .replacing(teacher.path + ": ", with: "")
    }
    #expect(
      refusal(nil)
        == "how layer 0 routes tokens to its experts was not measured, which merging them needs. Give a text to measure it on."
    )
    for router in importance.experts.keys { importance.experts[router]?.likenesses = [] }
    #expect(
      refusal(importance)
        == "how alike the experts of layer 0 are routed was not measured, which merging them needs. Give a text to measure it on."
    )
  }

  @Test func neuronsThatAreMostAlikeAreMatchedFirst() {
    #expect(NeuronMatcher.matched([1, 3, 2, 9, 8, 0, 0, 7, 0], 3) == [2, 0, 1])
    // Of equals the first.
    #expect(NeuronMatcher.matched([1, 1, 1, 1], 2) == [0, 1])
    #expect(Set(NeuronMatcher.matched([.nan, 1, .nan, .nan], 2)) == [0, 1])
  }
}

extension Tensor {
  fileprivate func asFloats() -> [Float] {
    dtype == .f16 ? elements(as: Float16.self).map { Float($0) } : elements(as: Float.self)
  }
}
