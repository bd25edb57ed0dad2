import KaratGraphs
import KaratTensors

/// The values of a graph whose magnitudes tell what matters, and what they tell of.
struct ImportanceProbes {
  /// What a value tells of.
  enum Kind: Hashable {
    /// Neurons of the feed-forward layer that a linear layer reads.
    case neurons(TensorName)
    /// What so many query heads give a linear layer.
    case heads(TensorName, count: Int)
    /// Channels of the residual stream.
    case channels
    /// Routing weights, where choices of each expert begin, and which they are.
    case weights(router: TensorName), offsets(router: TensorName), slots(router: TensorName)
    /// What the router gives each expert for each token, before it chooses.
    case scores(router: TensorName)
    /// What an expert gives for the tokens that reach it.
    case output(router: TensorName, expert: Int)
  }

  /// What each value tells of.
  private(set) var kinds: [ValueID: [Kind]] = [:]
  /// How many experts each router has.
  private(set) var experts: [TensorName: Int] = [:]

  init(_ graph: Graph) {
    for layer in graph.linearLayers {
      switch graph.node(of: layer.input).op {
      case .swiglu, .activation: add(layer.input, .neurons(layer.path))
      case .attention(let attention):
        add(layer.input, .heads(layer.path, count: attention.heads))
      case .latentAttention(let attention):
        add(layer.input, .heads(layer.path, count: attention.heads))
      default: break
      }
    }
    for (place, node) in graph.nodes.enumerated() {
      switch node.op {
      case .rmsNorm, .layerNorm:
        // Norms of the stream read a sum; those of latents and heads read a part of a product.
        switch graph.node(of: node.inputs[0]).op {
        case .add, .embedding: add(ValueID(node: place), .channels)
        default: break
        }
      case .combineExperts:
        let scores = graph.node(of: node.inputs[0]).inputs[0]
        let router = graph.node(of: scores).path
        experts[router] = node.inputs.count - 3
        add(scores, .scores(router: router))
        add(node.inputs[0], .weights(router: router))
        add(node.inputs[1], .offsets(router: router))
        add(node.inputs[2], .slots(router: router))
        for (expert, value) in node.inputs.dropFirst(3).enumerated() {
          add(value, .output(router: router, expert: expert))
        }
      default: break
      }
    }
  }

  private mutating func add(_ value: ValueID, _ kind: Kind) {
    kinds[value, default: []].append(kind)
  }

  /// The values of a stage that tell something.
  func wanted(in stage: Stage) -> [ValueID] {
    let own = Set(stage.places)
    return kinds.keys.filter { own.contains($0.node) }.sorted()
  }
}
