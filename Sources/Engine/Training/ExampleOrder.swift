/// In which order examples are learned from: each epoch in another, the same for the same seed.
///
/// The order of any step can be told without those before it, so that training that was interrupted
/// goes on with the same examples.
struct ExampleOrder {
  /// For each example how long it is; examples of like length run together.
  private let lengths: [Int]
  private let batch: Int
  private let seed: UInt64
  /// How many batches are sorted by length together: enough for little padding, few enough to stay
  /// random.
  private static let batchesSortedTogether = 16

  init(lengths: [Int], batch: Int, seed: UInt64) {
    self.lengths = lengths
    self.batch = min(batch, lengths.count)
    self.seed = seed
  }

  /// How many steps an epoch takes; what is left over in one may come in the next.
  private var stepsInEpoch: Int { max(lengths.count / batch, 1) }

  /// The examples of a step, the longest first.
  func examples(_ step: Int) -> [Int] {
    let (epoch, place) = (step / stepsInEpoch, step % stepsInEpoch)
    var generator = SeededGenerator(seed: seed &+ UInt64(truncatingIfNeeded: epoch) &* 0x9e37_79b9)
    let shuffled = lengths.indices.shuffled(using: &generator)
    let group = place / Self.batchesSortedTogether * Self.batchesSortedTogether
    let first = group * batch
    let last = min((group + Self.batchesSortedTogether) * batch, stepsInEpoch * batch)
    // Those of one length stay in random order.
    let sorted = shuffled[first..<last].enumerated()
      .sorted { (lengths[$0.element], $1.offset) > (lengths[$1.element], $0.offset) }
      .map(\.element)
    // Batches of a group come in random order, or every group would begin with its longest.
    let order = Array(0..<sorted.count / batch).shuffled(using: &generator)
    let start = order[place - group] * batch
    return Array(sorted[start..<start + batch])
  }
}
