/// A run of nodes that is executed together while the rest of the model is not in memory.
package struct Stage: Sendable {
  /// The block that the stage is, or nil for what comes before, between or after the blocks.
  package let block: Int?
  /// The places of its nodes; parameters belong to the stages that read them.
  package let places: [Int]
  /// The values that it reads from earlier stages or from the run's inputs.
  package let inputs: [ValueID]
  /// The values of its own that later stages read.
  package let outputs: [ValueID]
  /// The values from earlier stages that no later stage reads.
  package let released: [ValueID]
}

extension Graph {
  /// The graph cut into its blocks, in order.
  ///
  /// Running the stages one after the other over all samples gives what running the whole graph
  /// over each sample gives, with the parameters of one block in memory at a time.
  package var stages: [Stage] {
    let constants = constants
    var groups: [(block: Int?, places: [Int])] = []
    for (place, node) in nodes.enumerated() where !constants[place] {
      if case .input = node.op { continue }
      if let last = groups.last, last.block == node.block {
        groups[groups.count - 1].places.append(place)
      } else {
        groups.append((node.block, [place]))
      }
    }
    var lastReader: [ValueID: Int] = [:]
    for (index, group) in groups.enumerated() {
      for place in group.places {
        for input in nodes[place].inputs where !constants[input.node] { lastReader[input] = index }
      }
    }
    return groups.enumerated().map { index, group in
      let own = Set(group.places)
      let read = Set(group.places.flatMap { nodes[$0].inputs })
      let inputs = read.filter { !constants[$0.node] && !own.contains($0.node) }.sorted()
      return Stage(
        block: group.block,
        places: group.places,
        inputs: inputs,
        outputs: group.places.flatMap { place in
          nodes[place].types.indices.map { ValueID(node: place, output: $0) }
        }.filter { (lastReader[$0] ?? -1) > index },
        released: inputs.filter { lastReader[$0] == index }
      )
    }
  }
}
