public import KaratBytes
import KaratEngine
public import KaratGraphs

/// What the routers of two models chose for the same tokens.
public struct RouterFindings: Sendable {
  /// The reference's routers, in order.
  public let reference: [RouterStatistics]
  /// The candidate's.
  public let candidate: [RouterStatistics]
  /// For each router, how many tokens reach other experts in the candidate than in the reference.
  public let changed: [Int]

  /// The document that `karat verify --json` prints for each router.
  public var json: JSONValue {
    .array(
      zip(zip(reference, candidate), changed).map { pair, changed in
        var object = JSONObject()
        object["router"] = .string(pair.0.router)
        object["reference"] = pair.0.json
        object["candidate"] = pair.1.json
        object["changed_tokens"] = .number(JSONNumber(changed))
        return .object(object)
      }
    )
  }

  /// The experts that no token reached, over all routers.
  static func unused(_ routers: [RouterStatistics]) -> Int {
    routers.reduce(0) { $0 + $1.unused.count }
  }

  /// The tokens of the busiest expert over the mean, averaged over the routers.
  static func peak(_ routers: [RouterStatistics]) -> Double {
    routers.reduce(0) { $0 + $1.peak } / Double(max(routers.count, 1))
  }

  /// How many tokens reach other experts, over all routers, as a fraction of all that are routed.
  public var changedFraction: Double {
    let tokens = reference.reduce(0) { $0 + $1.tokens }
    return tokens > 0 ? Double(changed.reduce(0, +)) / Double(tokens) : 0
  }
}

/// The choices of one model's routers, kept until the other's can be compared with them.
struct RouterChoices {
  private(set) var counters: RouterCounters
  private let order: [ValueID: Int]
  /// For each router and window, the experts of each token in ascending order.
  private var choices: [[Int: [Int32]]]

  init(_ graph: Graph) {
    let routers = graph.routers
    counters = RouterCounters(routers)
    order = Dictionary(uniqueKeysWithValues: routers.enumerated().map { ($1.choices, $0) })
    choices = Array(repeating: [:], count: routers.count)
  }

  var wanted: Set<ValueID> { counters.wanted }

  mutating func add(_ window: Int, _ value: ValueID, _ operand: Operand) {
    guard let router = order[value] else { return }
    counters.add(value, operand)
    choices[router][window] = Self.sorted(operand)
  }

  private static func sorted(_ operand: Operand) -> [Int32] {
    var experts: [Int32] = []
    experts.reserveCapacity(operand.count)
    for token in 0..<operand.rows {
      let first = operand.ids + token * operand.features
      experts += UnsafeBufferPointer(start: first, count: operand.features).sorted()
    }
    return experts
  }

  /// Compares the choices of two models, or gives nil where one has no routers or other ones.
  func findings(against candidate: RouterChoices, _ windows: [[Int32]]) -> RouterFindings? {
    let left = counters.statistics, right = candidate.counters.statistics
    guard !left.isEmpty, left.count == right.count,
      zip(left, right).allSatisfy({ $0.counts.count == $1.counts.count && $0.tokens == $1.tokens })
    else { return nil }
    let changed = zip(choices, candidate.choices).map { left, right in
      windows.indices.reduce(0) { sum, window in
        let (left, right) = (left[window] ?? [], right[window] ?? [])
        guard left.count == right.count else { return sum + windows[window].count }
        let chosen = max(left.count / max(windows[window].count, 1), 1)
        return sum
          + stride(from: 0, to: left.count, by: chosen).count { first in
            left[first..<first + chosen] != right[first..<first + chosen]
          }
      }
    }
    return RouterFindings(reference: left, candidate: right, changed: changed)
  }
}
