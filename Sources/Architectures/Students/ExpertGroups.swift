import KaratGraphs
package import KaratTensors

/// Experts of a layer in groups, each around one that leads it; the others become a part of that (M-SMoE:
/// Li et al., 2024).
///
/// An expert joins the leader whose routing is most like its own: the cosine between what the router gives
/// them, less each token's mean. In the merged expert each has the share of routing weight that it had in
/// the group, its neurons in the order of those of the leader that they are most like.
struct ExpertGroups {
  /// An expert in a group.
  struct Member {
    /// Its number.
    let expert: Int
    /// What its numbers are multiplied by; those of a group add up to 1.
    let share: Float
    /// For each neuron of the leader its own that is most like it, or nil for the leader itself.
    let order: [Int]?

    /// Its neurons in the place of some of the leader's, or of all.
    func neurons(_ leaders: [Int]?) -> [Int]? {
      guard let order else { return leaders }
      return leaders.map { $0.map { order[$0] } } ?? order
    }
  }

  /// One group.
  struct Group {
    /// Its members, the leader first.
    let members: [Member]
    /// The sum over all tokens of their routing weights.
    let weight: Double
    /// The one that the others join.
    var leader: Int { members[0].expert }
  }

  /// The groups, in the order of their leaders.
  let groups: [Group]

  /// Groups of one expert each: the rest is left out.
  init(alone leaders: [Int], _ measured: Importance.Experts) {
    groups = leaders.map { leader in
      Group(
        members: [Member(expert: leader, share: 1, order: nil)],
        weight: measured.weights[leader]
      )
    }
  }

  /// Groups around some experts, of all of them.
  ///
  /// - Parameters:
  ///   - leaders: the experts that others join, at least one in each of `parts`.
  ///   - measured: what is known of the experts.
  ///   - parts: in how many equal parts, one behind the other, experts are routed by themselves.
  ///   - module: where an expert's tensors are.
  ///   - matching: finds which neurons of two experts are alike.
  /// - Throws: what `matching` throws.
  init(
    around leaders: [Int],
    _ measured: Importance.Experts,
    parts: Int = 1,
    _ module: (Int) -> ExpertTensors,
    matching: NeuronMatching
  ) throws {
    let count = measured.counts.count
    let size = count / parts
    var joined: [Int: [Int]] = [:]
    for expert in 0..<count where !leaders.contains(expert) {
      let near = leaders.filter { $0 / size == expert / size }
      let closest = near.max {
        (measured.likeness(expert, $0), -$0) < (measured.likeness(expert, $1), -$1)
      }
      if let closest { joined[closest, default: []].append(expert) }
    }
    groups = try leaders.map { leader in
      let others = joined[leader] ?? []
      let weight = ([leader] + others).reduce(0) { $0 + measured.weights[$1] }
      // A group that no token reached stays as its leader.
      func share(_ expert: Int) -> Float {
        weight > 0 ? Float(measured.weights[expert] / weight) : expert == leader ? 1 : 0
      }
      let members = try others.filter { share($0) > 0 }.map { expert in
        Member(
          expert: expert,
          share: share(expert),
          order: try matching(module(leader), module(expert))
        )
      }
      return Group(
        members: [Member(expert: leader, share: share(leader), order: nil)] + members,
        weight: weight
      )
    }
  }
}

/// Where the three matrices of an expert are: gate and up [neurons, hidden], down [hidden, neurons].
package struct ExpertTensors: Sendable, Hashable {
  package let gate, up, down: TensorName

  init(_ module: TensorName, _ names: GatedFeedForward.Names) {
    gate = module / names.gate / "weight"
    up = module / names.up / "weight"
    down = module / names.down / "weight"
  }
}

/// For each neuron of the first expert, which of the second's is most like it; each of them once.
package typealias NeuronMatching = (ExpertTensors, ExpertTensors) throws -> [Int]
