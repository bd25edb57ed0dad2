import KaratGraphs

/// Which nodes a run executes, in order, and when each value is no longer needed.
struct Plan {
  /// What a plan depends on.
  struct Request: Hashable {
    let given: Set<ValueID>
    let wanted: [ValueID]
  }

  /// The places of the nodes to execute, in order.
  let places: [Int]
  /// The values to let go after each of them.
  let released: [[ValueID]]
  /// Whether a token's values depend on tokens behind it, so that a run holds whole sequences.
  let looksAhead: Bool

  init(_ graph: Graph, constants: [Bool], request: Request) {
    var isNeeded = Array(repeating: false, count: graph.nodes.count)
    func need(_ value: ValueID) {
      if !request.given.contains(value), !constants[value.node] { isNeeded[value.node] = true }
    }
    request.wanted.forEach(need)
    for place in graph.nodes.indices.reversed() where isNeeded[place] {
      graph.nodes[place].inputs.forEach(need)
    }

    var places: [Int] = []
    var lastUse: [ValueID: Int] = [:]
    for (place, node) in graph.nodes.enumerated() where isNeeded[place] {
      for output in node.types.indices {
        lastUse[ValueID(node: place, output: output)] = places.count
      }
      for input in node.inputs where !constants[input.node] { lastUse[input] = places.count }
      places.append(place)
    }
    var released = Array(repeating: [ValueID](), count: places.count)
    for (value, step) in lastUse where !request.given.contains(value) {
      released[step].append(value)
    }
    looksAhead = places.contains { place in
      if case .laterTokens = graph.nodes[place].op { true } else { false }
    }
    self.places = places
    self.released = released
  }
}
