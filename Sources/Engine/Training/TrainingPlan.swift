import KaratGraphs
import KaratTensors

/// What of a graph is computed to train it, cut into its blocks, and where gradients flow.
struct TrainingPlan {
  /// Nodes that run together, and whose values may be dropped and computed again together.
  struct Segment {
    /// The places of its nodes, in order.
    var places: [Int] = []
    /// After which of them a value is not read again within the segment.
    var released: [[ValueID]] = []
    /// Its values that later segments or losses read.
    var crossing: Set<ValueID> = []
    /// Its values, and earlier ones, that gradients read.
    var kept: Set<ValueID> = []
  }

  let segments: [Segment]
  /// The parameters that losses depend on through the graph.
  let parameters: Set<TensorName>
  /// For each node, whether a gradient flows through its first output.
  private let carries: [Bool]

  /// Whether a gradient flows into a value.
  func carries(_ value: ValueID) -> Bool { value.output == 0 && carries[value.node] }

  /// - Parameters:
  ///   - graph: what is trained.
  ///   - given: the values that a run begins from.
  ///   - judged: the values that losses read.
  ///   - isTrained: which parameters learn.
  init(
    _ graph: Graph,
    given: Set<ValueID>,
    judged: Set<ValueID>,
    isTrained: (TensorName) -> Bool
  ) {
    var isNeeded = Array(repeating: false, count: graph.nodes.count)
    func need(_ value: ValueID) {
      if !given.contains(value) { isNeeded[value.node] = true }
    }
    judged.forEach(need)
    for place in graph.nodes.indices.reversed() where isNeeded[place] {
      graph.nodes[place].inputs.forEach(need)
    }

    parameters = Set(
      graph.nodes.indices.lazy.filter { isNeeded[$0] }
        .compactMap { graph.parameter(ValueID(node: $0))?.tensor }
    )

    var carries = Array(repeating: false, count: graph.nodes.count)
    var groups: [(block: Int?, places: [Int])] = []
    for (place, node) in graph.nodes.enumerated() where isNeeded[place] {
      if let parameter = graph.parameter(ValueID(node: place)) {
        carries[place] = isTrained(parameter.tensor)
        continue
      }
      carries[place] =
        node.op.operation.gradientReads != nil
        && node.inputs.contains { $0.output == 0 && carries[$0.node] && !given.contains($0) }
      if let last = groups.last, last.block == node.block {
        groups[groups.count - 1].places.append(place)
      } else {
        groups.append((node.block, [place]))
      }
    }
    self.carries = carries

    var lastReader: [ValueID: Int] = [:]
    for (index, group) in groups.enumerated() {
      for place in group.places {
        for input in graph.nodes[place].inputs { lastReader[input] = index }
      }
    }
    segments = groups.enumerated().map { index, group in
      Self.segment(graph, group.places, carries) { value in
        judged.contains(value) || (lastReader[value] ?? -1) > index
      }
    }
  }

  private static func segment(
    _ graph: Graph,
    _ places: [Int],
    _ carries: [Bool],
    crosses: (ValueID) -> Bool
  ) -> Segment {
    var segment = Segment()
    segment.places = places
    var lastUse: [ValueID: Int] = [:]
    for (step, place) in places.enumerated() {
      let node = graph.nodes[place]
      for output in node.types.indices {
        let value = ValueID(node: place, output: output)
        lastUse[value] = step
        if crosses(value) { segment.crossing.insert(value) }
      }
      for input in node.inputs where lastUse[input] != nil { lastUse[input] = step }
      guard carries[place], let reads = node.op.operation.gradientReads else { continue }
      for index in reads.inputs ?? Array(node.inputs.indices) where index < node.inputs.count {
        segment.kept.insert(node.inputs[index])
      }
      for output in reads.outputs { segment.kept.insert(ValueID(node: place, output: output)) }
    }
    segment.released = Array(repeating: [], count: places.count)
    for (value, step) in lastUse where !segment.crossing.contains(value) {
      segment.released[step].append(value)
    }
    return segment
  }
}
