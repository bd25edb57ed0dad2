import Foundation
public import KaratBytes
public import KaratGraphs

extension RouterStatistics {
  /// The entropy of the choice of an expert over that of an even choice, from 0 to 1.
  public var entropy: Double {
    let total = Double(counts.reduce(0, +))
    guard total > 0, counts.count > 1 else { return 0 }
    let entropy = counts.reduce(0.0) { sum, count in
      let share = Double(count) / total
      return count > 0 ? sum - share * log(share) : sum
    }
    return entropy / log(Double(counts.count))
  }

  /// The statistics as a document.
  public var json: JSONValue {
    var object = JSONObject()
    object["router"] = .string(router)
    object["tokens"] = .number(JSONNumber(tokens))
    object["experts"] = .array(counts.map { .number(JSONNumber($0)) })
    for (name, value) in [("peak", peak), ("variation", variation), ("entropy", entropy)] {
      object[name] = JSONNumber(value).map(JSONValue.number) ?? .null
    }
    object["unused"] = .array(unused.map { .number(JSONNumber($0)) })
    return .object(object)
  }

  /// The statistics of several routers as a table for reading.
  public static func table(_ routers: [RouterStatistics]) -> String {
    let width = (routers.map(\.router.count).max() ?? 0) + 2
    func row(_ name: String, _ cells: [String]) -> String {
      name.padding(toLength: width, withPad: " ", startingAt: 0)
        + cells.map { String(repeating: " ", count: max(0, 11 - $0.count)) + $0 }.joined()
    }
    let head = row("router", ["tokens", "experts", "unused", "max/mean", "variation", "entropy"])
    let rows = routers.map { router in
      row(
        router.router,
        ["\(router.tokens)", "\(router.counts.count)", "\(router.unused.count)"]
          + [router.peak, router.variation, router.entropy].map { String(format: "%.3f", $0) }
      )
    }
    return ([head] + rows).joined(separator: "\n")
  }
}

extension Executor {
  /// Runs windows of tokens through the model, block by block, and counts what its routers choose.
  ///
  /// - Parameters:
  ///   - windows: sequences of tokens.
  ///   - progress: hears how far the run is.
  /// - Returns: the statistics of each router, in order; none where the model has no experts.
  /// - Throws: `EngineError` where a token is not in the vocabulary or memory does not suffice,
  ///   `CheckpointError` where a parameter cannot be pulled.
  public func routerStatistics(
    _ windows: [[Int32]],
    progress: ProgressReporter = .silent
  ) throws -> [RouterStatistics] {
    let routers = model.graph.routers
    guard let last = routers.last else { return [] }
    var counters = RouterCounters(routers)
    var run = try StagedRun(self, windows: windows)
    let stages = model.graph.stages
    for (index, stage) in stages.enumerated() {
      progress.report("routers", index, of: stages.count, "blocks")
      try run.run(stage, wanted: counters.wanted(in: stage)) { _, value, choices in
        counters.add(value, choices)
      }
      if stage.places.contains(last.choices.node) { break }
    }
    progress.report("routers", stages.count, of: stages.count, "blocks")
    return counters.statistics
  }
}

/// Counts what routers choose while a model runs.
package struct RouterCounters {
  private let places: [ValueID: Int]
  /// The statistics of each router, in order.
  package private(set) var statistics: [RouterStatistics]

  package init(_ routers: [Router]) {
    statistics = routers.map { RouterStatistics(router: $0.path, experts: $0.experts) }
    places = Dictionary(
      uniqueKeysWithValues: routers.enumerated().map { ($1.choices, $0) }
    )
  }

  /// All values that count.
  package var wanted: Set<ValueID> { Set(places.keys) }

  /// The values of a stage that count.
  package func wanted(in stage: Stage) -> [ValueID] {
    let own = Set(stage.places)
    return places.keys.filter { own.contains($0.node) }.sorted()
  }

  /// Takes in a value, where it is a router's choices.
  package mutating func add(_ value: ValueID, _ choices: Operand) {
    if let place = places[value] { statistics[place].add(choices) }
  }
}
