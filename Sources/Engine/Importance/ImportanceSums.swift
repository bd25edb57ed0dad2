import KaratGraphs
import KaratKernels
import KaratTensors

/// Sums up what probes show while a model runs; the same for any number of threads.
struct ImportanceSums {
  /// Sums over rows, and how many rows there were.
  private struct Sum {
    var total: [Double] = []
    var rows = 0

    var means: [Double] { total.map { $0 / Double(max(rows, 1)) } }
  }

  /// What a router chose for the tokens that run together.
  private struct Choices {
    var weights: [Float] = []
    var tokens = 0
    var offsets: [Int32] = []
    var slots: [Int32] = []
  }

  private let probes: ImportanceProbes
  private let workers: Workers
  private var neurons: [TensorName: Sum] = [:]
  private var heads: [TensorName: Sum] = [:]
  private var channels: [ValueID: Sum] = [:]
  private var experts: [TensorName: Importance.Experts]
  private var choices: [TensorName: Choices] = [:]
  /// For each router the sums over tokens of products of two experts' scores, [experts, experts].
  private var products: [TensorName: [Double]] = [:]

  init(_ probes: ImportanceProbes, on workers: Workers) {
    self.probes = probes
    self.workers = workers
    experts = probes.experts.mapValues { Importance.Experts(experts: $0) }
  }

  /// What was found.
  var importance: Importance {
    var importance = Importance()
    for (name, sum) in neurons { importance.neurons[name.text] = sum.means }
    for (name, sum) in heads { importance.heads[name.text] = sum.means }
    for (router, experts) in experts {
      importance.experts[router.text] = experts
      importance.experts[router.text]?.likenesses = likenesses(products[router] ?? [])
    }
    for (_, sum) in channels.sorted(by: { $0.key < $1.key }) {
      let means = sum.means
      importance.channels =
        importance.channels.isEmpty ? means : zip(importance.channels, means).map { $0 + $1 }
    }
    return importance
  }

  /// Takes in a value.
  mutating func add(_ value: ValueID, _ operand: Operand) {
    for kind in probes.kinds[value] ?? [] {
      switch kind {
      case .neurons(let reader): addMagnitudes(operand, to: &neurons[reader, default: Sum()])
      case .heads(let reader, let count):
        addLengths(operand, of: count, to: &heads[reader, default: Sum()])
      case .channels: addMagnitudes(operand, to: &channels[value, default: Sum()])
      case .scores(let router):
        addProducts(operand, to: &products[router, default: []])
      case .weights(let router):
        // Weights come before the rest, window by window of those that run together.
        if choices[router]?.offsets.isEmpty == false { choices[router] = nil }
        let weights = UnsafeBufferPointer(start: operand.floats, count: operand.count)
        choices[router, default: Choices()].weights += weights
        choices[router]?.tokens += operand.rows
        experts[router]?.tokens += operand.rows
      case .offsets(let router):
        choices[router]?.offsets = operand.list
      case .slots(let router):
        choices[router]?.slots += operand.list
      case .output(let router, let expert): addOutput(operand, of: expert, router)
      }
    }
  }

  private func addMagnitudes(_ operand: Operand, to sum: inout Sum) {
    let (rows, columns) = (operand.rows, operand.features)
    if sum.total.isEmpty { sum.total = Array(repeating: 0, count: columns) }
    sum.rows += rows
    let floats = operand.floats
    let tile = 256
    sum.total.withUnsafeMutableBufferPointer { total in
      nonisolated(unsafe) let total = total
      workers.forEachTile((columns + tile - 1) / tile) { index in
        let run = index * tile..<min((index + 1) * tile, columns)
        for row in 0..<rows {
          let first = floats + row * columns
          for column in run { total[column] += Double(abs(first[column])) }
        }
      }
    }
  }

  private func addLengths(_ operand: Operand, of count: Int, to sum: inout Sum) {
    let (rows, size) = (operand.rows, operand.features / count)
    if sum.total.isEmpty { sum.total = Array(repeating: 0, count: count) }
    sum.rows += rows
    for row in 0..<rows {
      for head in 0..<count {
        sum.total[head] += length(operand.floats + row * operand.features + head * size, size)
      }
    }
  }

  private func addProducts(_ operand: Operand, to sums: inout [Double]) {
    let (rows, experts) = (operand.rows, operand.features)
    if sums.isEmpty { sums = Array(repeating: 0, count: experts * experts) }
    // What is the same for all experts changes no choice.
    var scores = UnsafeBufferPointer(start: operand.floats, count: rows * experts).map(Double.init)
    for row in 0..<rows {
      let own = row * experts..<(row + 1) * experts
      let mean = scores[own].reduce(0, +) / Double(experts)
      for index in own { scores[index] -= mean }
    }
    scores.withUnsafeBufferPointer { scores in
      nonisolated(unsafe) let scores = scores
      sums.withUnsafeMutableBufferPointer { sums in
        nonisolated(unsafe) let sums = sums
        workers.forEachTile(experts) { expert in
          for row in 0..<rows {
            let own = scores[row * experts + expert]
            for other in 0..<experts {
              sums[expert * experts + other] += own * scores[row * experts + other]
            }
          }
        }
      }
    }
  }

  private func likenesses(_ products: [Double]) -> [Double] {
    let experts = Int(Double(products.count).squareRoot())
    let lengths = (0..<experts).map { products[$0 * (experts + 1)].squareRoot() }
    return products.enumerated().map { place, product in
      let both = lengths[place / experts] * lengths[place % experts]
      return both > 0 ? product / both : 0
    }
  }

  private mutating func addOutput(_ operand: Operand, of expert: Int, _ router: TensorName) {
    guard let choices = choices[router], expert + 1 < choices.offsets.count else { return }
    let first = Int(choices.offsets[expert])
    for row in 0..<operand.rows {
      let weight = Double(choices.weights[Int(choices.slots[first + row])])
      let length = length(operand.floats + row * operand.features, operand.features)
      experts[router]?.counts[expert] += 1
      experts[router]?.weights[expert] += weight
      experts[router]?.contributions[expert] += weight * length
    }
  }

  private func length(_ x: UnsafePointer<Float>, _ count: Int) -> Double {
    var sum = 0.0
    for index in 0..<count { sum += Double(x[index]) * Double(x[index]) }
    return sum.squareRoot()
  }
}

extension Operand {
  /// Its whole numbers.
  fileprivate var list: [Int32] { Array(UnsafeBufferPointer(start: ids, count: count)) }
}
