import KaratGraphs
import KaratTensors
import KaratTestSupport
import Testing

/// Two layers that read one value, and one that reads their sum: the smallest graph with sharing.
func branches() throws -> Graph {
  let tracer = Tracer()
  let x = tracer.input("x", ValueType(.f32, [.batch, .length, .fixed(8)]))
  let sum = tracer.block(0) {
    linear(x, tracer.root / "q", 8, 4) + linear(x, tracer.root / "k", 8, 4, bias: true)
  }
  let y = tracer.block(1) { linear(sum, tracer.root / "o", 4, 8) }
  tracer.name(y, "y")
  return try tracer.finish()
}

@Suite struct Tracing {
  @Test func theFirstFaultIsKeptAndNamesItsModule() {
    let tracer = Tracer()
    let x = tracer.input("x", ValueType(.f32, [.batch, .length, .fixed(8)]))
    let bad = linear(x, tracer.root / "layers" / "3" / "up", 7, 4)
    tracer.name(linear(bad, tracer.root / "down", 9, 9), "y")
    #expect(
      message { _ = try tracer.finish() }
        == "'layers.3.up': a linear layer cannot multiply F32[batch, length, 8] by a weight F32[4, 7]: the innermost extents must agree."
    )
  }

  @Test func aParameterIsAddedOnceAndOnlyWithOneType() throws {
    let tracer = Tracer()
    let x = tracer.input("x", ValueType(.f32, [.batch, .length, .fixed(8)]))
    let w = tracer.root / "tied"
    tracer.name(linear(x, w, 8, 8) + linear(x, w, 8, 8), "y")
    #expect(try tracer.finish().parameters.map(\.name) == ["tied.weight"])

    let other = Tracer()
    let z = other.input("x", ValueType(.f32, [.batch, .length, .fixed(8)]))
    other.name(
      linear(z, other.root / "tied", 8, 8) + linear(z, other.root / "tied", 8, 4),
      "y"
    )
    #expect(
      message { _ = try other.finish() }
        == "'tied': 'tied.weight' is read as F32[8, 8] and as F32[4, 8]."
    )
  }

  @Test func whatNoNamedValueNeedsIsLeftOut() throws {
    let tracer = Tracer()
    let x = tracer.input("x", ValueType(.f32, [.batch, .length, .fixed(8)]))
    _ = linear(x, tracer.root / "unused", 8, 8)
    tracer.name(linear(x, tracer.root / "used", 8, 8), "y")
    #expect(try tracer.finish().parameters.map(\.name) == ["used.weight"])
  }
}

@Suite struct Rewriting {
  private static let all: Set<TensorName> = ["q", "k", "o"]
  private static let leaders: [TensorName: TensorName] = ["q": "q", "k": "q", "o": "o"]

  @Test func theOrderOfWeightsAndActivationsDoesNotMatter() throws {
    let graph = try branches()
    let weightsFirst = try graph.withQuantizedWeights(of: Self.all, .int8Weights)
      .withQuantizedActivations(leaders: Self.leaders, .int8Activations)
    let activationsFirst = try graph.withQuantizedActivations(
      leaders: Self.leaders,
      .int8Activations
    ).withQuantizedWeights(of: Self.all, .int8Weights)
    #expect(weightsFirst == activationsFirst)
    #expect(weightsFirst.description == activationsFirst.description)
    try weightsFirst.check()
    let names = weightsFirst.nodes.map(\.op.operation.name)
    #expect(names.count { $0 == "integer_linear" } == 3)
    #expect(!names.contains("linear"))
    #expect(!names.contains("dequantize"))
    // q and k share one quantization of what they read.
    #expect(names.count { $0 == "quantize" } == 2)
  }

  @Test func aQuantizedLayerPrints() throws {
    let graph = try branches().withQuantizedWeights(of: ["o"], .int8Weights)
      .withQuantizedActivations(leaders: ["o": "o"], .int8Activations)
    let results = graph.description.split(separator: "\n").filter { $0.hasSuffix("  @ o") }
      .map { $0.drop { $0 != "=" } }
    for line in [
      "= parameter(tensor: 'o.weight') : I8[8, 4]  @ o",
      "= parameter(tensor: 'o.weight_scale') : F32[8, 1]  @ o",
      "= parameter(tensor: 'o.input_scale') : F32[1]  @ o",
      "= parameter(tensor: 'o.input_zero_point') : I8[1]  @ o",
    ] { #expect(results.contains { $0 == line }, "\(results)") }
    #expect(results.contains { $0.hasPrefix("= quantize(") && $0.contains("U8[batch, length, 4]") })
    #expect(
      results.contains {
        $0.hasPrefix("= integer_linear(") && $0.contains("F32[batch, length, 8]")
      }
    )
    #expect(results.count == 6)
  }

  @Test func weightsAloneAreDequantized() throws {
    let graph = try branches().withQuantizedWeights(of: ["k"], .int8Weights)
    try graph.check()
    let names = graph.nodes.map(\.op.operation.name)
    #expect(names.count { $0 == "dequantize" } == 1)
    #expect(names.count { $0 == "linear" } == 3)
    #expect(graph.parameters.first { $0.name == "k.weight" }?.type == ValueType(.i8, 4, 8))
    #expect(graph.parameters.first { $0.name == "k.weight_scale" }?.type == ValueType(.f32, 4, 1))
    #expect(graph.parameters.first { $0.name == "q.weight" }?.type == ValueType(.f32, 4, 8))
    // Quantizing again changes nothing.
    #expect(try graph.withQuantizedWeights(of: ["k"], .int8Weights) == graph)
    let layers = graph.linearLayers
    #expect(layers.map(\.path) == ["q", "k", "o"])
    #expect(layers.map(\.hasCodes) == [false, true, false])
    #expect(layers.map(\.bias) == [nil, "k.bias", nil])
    #expect(layers.map(\.block) == [0, 0, 1])
  }

  @Test func activationsAloneAreRoundedAndDequantized() throws {
    let graph = try branches().withQuantizedActivations(
      leaders: ["q": "q", "k": "k"],
      .int8Activations
    )
    try graph.check()
    let names = graph.nodes.map(\.op.operation.name)
    // Layers whose ranges differ have quantizations of their own.
    #expect(names.count { $0 == "quantize" } == 2)
    #expect(names.count { $0 == "dequantize" } == 2)
    #expect(names.count { $0 == "linear" } == 3)
  }

  @Test func namedValuesMoveAlong() throws {
    let graph = try branches()
    let quantized = try graph.withQuantizedWeights(of: Self.all, .int8Weights)
    #expect(Set(quantized.named.keys) == ["x", "y"])
    for (name, value) in quantized.named {
      #expect(quantized.type(of: value) == graph.named[name].map { graph.type(of: $0) })
    }
  }
}

@Suite struct Staging {
  @Test func stagesAreTheBlocksAndWhatLiesBetween() throws {
    let graph = try branches()
    let stages = graph.stages
    #expect(stages.map(\.block) == [0, 1])
    let x = try #require(graph.named["x"])
    #expect(stages[0].inputs == [x])
    #expect(stages[0].released == [x])
    #expect(stages[0].outputs.count == 1)
    #expect(stages[1].inputs == stages[0].outputs)
    #expect(stages[1].released == stages[1].inputs)
    #expect(stages[1].outputs == [])
  }

  @Test func everyNodeThatIsNoParameterIsInOneStage() throws {
    let graph = try branches().withQuantizedWeights(of: ["q", "k"], .int8Weights)
    let places = graph.stages.flatMap(\.places)
    #expect(Set(places).count == places.count)
    let constants = graph.constants
    for (place, node) in graph.nodes.enumerated() {
      let isOutside = constants[place] || node.op.operation.name == "input"
      #expect(places.contains(place) != isOutside)
    }
  }
}
