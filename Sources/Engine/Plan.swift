import KaratGraphs
import KaratTensors

/// Which nodes a run executes, in order, and when each value is no longer needed.
struct Plan {
  /// What a plan depends on.
  struct Request: Hashable {
    let given: Set<ValueID>
    let wanted: [ValueID]
  }

  /// What the run begins from.
  let given: Set<ValueID>
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
    given = request.given
    self.places = places
    self.released = released
  }
}

extension Plan {
  /// The most bytes that the values of a run take at a time, those it is given included, where a
  /// router spreads the tokens evenly over its experts.
  func peakBytes(_ graph: Graph, _ binding: Binding) -> Int {
    var binding = binding
    func size(_ value: ValueID) -> Int {
      let type = graph.type(of: value)
      return type.dtype.byteCount(elementCount: type.shape(binding).elementCount) ?? 0
    }
    var live = given.reduce(0) { $0 + size($1) }
    var peak = live
    for (step, place) in places.enumerated() {
      if case .route(let router) = graph.nodes[place].op {
        let experts = graph.type(of: graph.nodes[place].inputs[0]).features ?? 1
        binding.routed = (binding.batch * binding.length * router.chosen - 1) / experts + 1
      }
      for output in graph.nodes[place].types.indices {
        live += size(ValueID(node: place, output: output))
      }
      peak = max(peak, live)
      for value in released[step] { live -= size(value) }
    }
    return peak
  }
}
