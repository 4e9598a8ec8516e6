"""Seconds a point of a sensitivity scan takes in PyTorch with Torch-Pruning, beside which `npm run bench -- sensitivity` is read.

    python bench/python/sensitivity_torch.py [--images 1000] [--threads 2] [--points 12]

Needs `pip install torch torch-pruning`. ResNet-20 and ResNet-56 for CIFAR-10 (He et al. 2016, section 4.2, shortcuts without weights), random
weights and images: the time of a forward pass depends on neither. A point is what a straightforward scan does: copy the network, prune one
group by one ratio with the dependency graph, evaluate all images (at the fastest of three batch sizes). A few points spread over groups and
ratios are measured; their median times the number of points is the time of the whole scan.
"""
import argparse
import copy
import json
import statistics
import time

import torch
import torch_pruning
from torch import nn
from torch.nn import functional

RATIOS = [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9]


class Block(nn.Module):
    def __init__(self, before, after, stride):
        super().__init__()
        self.conv1 = nn.Conv2d(before, after, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(after)
        self.conv2 = nn.Conv2d(after, after, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(after)
        self.stride, self.extra = stride, after - before

    def forward(self, x):
        y = self.bn2(self.conv2(functional.relu(self.bn1(self.conv1(x)))))
        if self.extra:
            half = self.extra // 2
            x = functional.pad(x[:, :, :: self.stride, :: self.stride], (0, 0, 0, 0, half, self.extra - half))
        return functional.relu(y + x)


def resnet(blocks):
    layers, before = [nn.Conv2d(3, 16, 3, 1, 1, bias=False), nn.BatchNorm2d(16), nn.ReLU()], 16
    for after in (16, 32, 64):
        for index in range(blocks):
            layers.append(Block(before, after, 2 if after != before and index == 0 else 1))
            before = after
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, 10)).eval()


def evaluate(network, images, batch):
    started = time.perf_counter()
    with torch.no_grad():
        for part in images.split(batch):
            network(part)
    return time.perf_counter() - started


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--images", type=int, default=1000)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--points", type=int, default=12)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    images = torch.randn(options.images, 3, 32, 32)
    # Inner groups: those that a residual sum fixes are counted, and taken to be as fast.
    for name, blocks, groups in (("resnet20", 3, 12), ("resnet56", 9, 30)):
        network = resnet(blocks)
        batch = min((50, 100, 250), key=lambda b: min(evaluate(network, images, b) for _ in range(2)))
        inner = [layer.conv1 for layer in network if isinstance(layer, Block)]
        seconds = []
        for point in range(options.points):
            started = time.perf_counter()
            pruned = copy.deepcopy(network)
            convolution = [layer.conv1 for layer in pruned if isinstance(layer, Block)][point * len(inner) // options.points]
            count = int(RATIOS[point % len(RATIOS)] * convolution.out_channels)
            if count:
                graph = torch_pruning.DependencyGraph().build_dependency(pruned, images[:1])
                graph.get_pruning_group(convolution, torch_pruning.prune_conv_out_channels, list(range(count))).prune()
            evaluate(pruned, images, batch)
            seconds.append(time.perf_counter() - started)
        median = statistics.median(seconds)
        points = groups * len(RATIOS)
        print(json.dumps({"net": name, "batch": batch, "secondsPerPoint": round(median, 3), "points": points, "seconds": round(median * points, 1)}))


main()
