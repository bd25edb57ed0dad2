package import KaratTensors

/// Grows a graph node by node, each checked by its operation's shape rule as it is added.
package struct GraphBuilder {
  /// The graph so far, with nodes that no named value needs.
  package private(set) var graph = Graph(nodes: [], named: [:])
  private var parameters: [TensorName: ValueID] = [:]

  package init() {}

  /// Goes on where a graph ends.
  package init(extending graph: Graph) {
    self.graph = graph
    for (place, node) in graph.nodes.enumerated() {
      if case .parameter(let parameter) = node.op {
        parameters[parameter.tensor] = ValueID(node: place)
      }
    }
  }

  package func type(of value: ValueID) -> ValueType { graph.type(of: value) }

  /// Appends an operation and gives its first result.
  ///
  /// A parameter that is there already is not added again.
  package mutating func add(
    _ op: Op,
    _ inputs: [ValueID] = [],
    path: TensorName,
    block: Int?
  ) throws(GraphError) -> ValueID {
    if case .parameter(let parameter) = op, let value = parameters[parameter.tensor] {
      guard graph.type(of: value) == parameter.type else {
        throw GraphError(
          path: path,
          "\(parameter.tensor.quoted) is read as \(graph.type(of: value)) and as \(parameter.type)."
        )
      }
      return value
    }
    let types: [ValueType]
    do {
      types = try op.operation.resultTypes(of: inputs.map { graph.type(of: $0) })
    } catch {
      throw GraphError(path: path, error.message)
    }
    let value = ValueID(node: graph.nodes.count)
    if case .parameter(let parameter) = op { parameters[parameter.tensor] = value }
    graph.nodes.append(Node(op: op, inputs: inputs, types: types, path: path, block: block))
    return value
  }

  package mutating func name(_ value: ValueID, _ name: String) {
    graph.named[name] = value
  }

  /// The graph, without the nodes that no named value needs.
  package func finished() -> Graph { graph.pruned() }
}

extension Graph {
  /// The same graph without the nodes that no named value needs, each parameter before the first
  /// node that reads it: so graphs are equal in whatever order passes made them.
  func pruned() -> Graph {
    var isNeeded = Array(repeating: false, count: nodes.count)
    for value in named.values { isNeeded[value.node] = true }
    for place in nodes.indices.reversed() where isNeeded[place] {
      for input in nodes[place].inputs { isNeeded[input.node] = true }
    }
    var places: [Int: Int] = [:]
    var kept: [Node] = []
    func moved(_ value: ValueID) -> ValueID {
      ValueID(node: places[value.node] ?? 0, output: value.output)
    }
    func keep(_ place: Int) {
      guard places[place] == nil else { return }
      let node = nodes[place]
      for input in node.inputs where parameter(input) != nil { keep(input.node) }
      places[place] = kept.count
      kept.append(
        Node(
          op: node.op,
          inputs: node.inputs.map(moved),
          types: node.types,
          path: node.path,
          block: node.block
        )
      )
    }
    for place in nodes.indices where isNeeded[place] {
      if parameter(ValueID(node: place)) == nil { keep(place) }
    }
    for value in named.values.sorted() { keep(value.node) }
    return Graph(nodes: kept, named: named.mapValues(moved))
  }
}
